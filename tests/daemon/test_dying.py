"""What a manager leaves that is killed right after it has asked somebody for memory."""

import os
import threading
from pathlib import Path

import pytest

from aerostat.daemon.orders import Orders
from aerostat.daemon.savefile import Saved, SaveFile
from aerostat.engine.state import State
from aerostat.testing.mocks.house import House
from aerostat.units import MIB


async def test_what_was_asked_last_is_kept_at_once(house: House, tmp_path: Path) -> None:
    """A next manager that knows an older request takes it for one under way, and repeats it."""
    house.budget = 700 * MIB
    for name in "ab":
        house.add(name, held=450 * MIB).uses(100 * MIB)
    save_file = SaveFile(tmp_path / "state.json")
    await house.start(save_file=save_file)
    await house.clock.advance(4)  # not yet the time when all that was learned is saved
    save_file.finish(10)
    at, key, size = house.connector.sent[-1]
    assert house.clock.monotonic() - at < 2
    saved = SaveFile(save_file.path).load(house.clock.monotonic())
    asked = dict(zip(saved.state.keys, saved.state.asked, strict=True))
    assert asked[key] == size
    await house.stop()


def test_of_what_comes_while_the_disk_is_busy_the_newest_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on, written = threading.Event(), []

    def slowly(descriptor: int) -> None:
        written.append(descriptor)
        may_go_on.wait(10)

    monkeypatch.setattr(os, "fsync", slowly)
    save_file = SaveFile(tmp_path / "state.json")
    for number in range(5):
        orders = Orders()
        orders.hold("fake:a", f"note {number}")
        save_file.save(Saved(State.empty(), orders, []))
    may_go_on.set()
    save_file.finish(10)
    assert SaveFile(save_file.path).load(0.0).orders.holds == {"fake:a": "note 4"}
    assert len(written) == 2
    assert save_file.problem == ""


def test_a_writing_that_fails_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file = SaveFile(tmp_path / "state.json")
    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", raise_no_memory)
        save_file.save(Saved(State.empty(), Orders(), []))
        save_file.finish(10)
        assert "cannot be written" in save_file.problem
    save_file.save(Saved(State.empty(), Orders(), []))
    save_file.finish(10)
    assert save_file.problem == ""
    assert save_file.path.exists()


def raise_no_memory(_: int) -> None:
    raise MemoryError
