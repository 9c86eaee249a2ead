"""Guests that a new manager has not found yet stay in its accounts."""

from pathlib import Path

import pytest

from aerostat.daemon.lingering import LINGER, Remembered, restored
from aerostat.daemon.savefile import SaveFile
from aerostat.hypervisors.base import GuestInfo
from aerostat.testing.mocks.connector import FakeConnector
from aerostat.testing.mocks.house import House
from aerostat.units import MIB


async def leave(house: House, path: Path) -> Path:
    """Run a manager over two guests, kill it, and return the state that it left."""
    house.budget = 900 * MIB
    for name in "ab":
        house.add(name, held=400 * MIB).uses(300 * MIB)
    save_file = SaveFile(path / "state.json")
    await house.start(save_file=save_file)
    await house.clock.advance(11)
    save_file.finish(10)
    left = path / "left.json"
    left.write_bytes(save_file.path.read_bytes())
    await house.stop()
    house.shown.clear()
    return left


async def test_a_guest_whose_monitor_hangs_from_the_start_is_in_the_accounts(
    house: House, tmp_path: Path
) -> None:
    left = await leave(house, tmp_path)
    size = house.connector.fakes["fake:b"].guest_size
    house.connector.hung.add("fake:b")
    await house.start(save_file=SaveFile(left))
    await house.clock.advance(LINGER + 20)
    first, second = house.last.guests
    assert (second.guest_size, second.condition, second.error) == (size, "silent", "no answer")
    assert house.last.hosts[0].permitted == (first.guest_size or 0) + size
    # Nothing was taken from it unseen, and its memory was given to nobody.
    assert house.last.hosts[0].permitted <= 900 * MIB
    assert all(key == "fake:a" or asked >= size for _, key, asked in house.connector.sent[-5:])


async def test_a_connector_that_takes_its_time_costs_nothing_that_was_learned(
    house: House, tmp_path: Path
) -> None:
    class Late(FakeConnector):
        late = True

        async def guests(self) -> list[GuestInfo]:
            return [] if self.late else await super().guests()

    left = await leave(house, tmp_path)
    connector = Late(*house.connector.fakes.values(), clock=house.clock.monotonic)
    await house.start(connectors=[connector], save_file=SaveFile(left))
    await house.clock.advance(5)
    assert [guest.connector for guest in house.last.guests] == ["none yet", "none yet"]
    assert {guest.condition for guest in house.last.guests} <= {"stale", "silent"}
    connector.late = False
    await house.clock.advance(2)
    assert [guest.connector for guest in house.last.guests] == ["fake", "fake"]
    assert {guest.condition for guest in house.last.guests} == {"fresh"}
    assert all(guest.demand for guest in house.last.guests)


async def test_who_is_not_found_again_is_forgotten(house: House, tmp_path: Path) -> None:
    left = await leave(house, tmp_path)
    del house.connector.fakes["fake:b"]
    await house.start(save_file=SaveFile(left))
    await house.clock.advance(LINGER / 2)
    assert [guest.name for guest in house.last.guests] == ["a", "b"]
    await house.clock.advance(LINGER / 2 + 2)
    assert [guest.name for guest in house.last.guests] == ["a"]


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2]],
        [["k", "k", "n", "s", None, 5, 6, None]],
        [["k", "k", "n", "s", None, -5, -6, None]],
        [["k", "k", "n", "s", None, "5", 4, None]],
        [["k", "k", "n", "s", None, 1 << 60, 4, None]],
    ],
)
def test_what_is_no_guest_is_refused(values: object) -> None:
    with pytest.raises(ValueError, match=r".+"):  # msgspec's own error is one
        restored(values)


def test_what_was_saved_comes_back() -> None:
    guest = Remembered("k", "k", "n", "s", "u", 6, 5, None)
    assert restored([list(guest)]) == [guest]
