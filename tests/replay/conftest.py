"""A journal that a real manager wrote: two guests in memory, a restart and an operator between."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aerostat.cli.main import invoke
from aerostat.daemon.config import parse
from aerostat.daemon.journal.recording import about
from aerostat.daemon.journal.writer import Journal
from aerostat.daemon.savefile import SaveFile
from aerostat.engine.settings import Settings
from aerostat.testing.mocks.clock import VirtualClock
from aerostat.testing.mocks.house import House
from aerostat.units import MIB

Call = Callable[..., tuple[int, str, str]]

TICKS = 24
"""What each of the two managers does."""


async def work(house: House, ticks: int) -> None:
    """Let the guests' need rise and fall in turn."""
    web, db = (house.connector.fakes[f"fake:{name}"] for name in ("web", "db"))
    for tick in range(ticks):
        need = 150 + 12 * tick
        for guest, used in ((web, need * MIB), (db, (500 - need) * MIB)):
            guest.uses(max(guest.guest_size - used, 4 * MIB))
            guest.held = min(guest.guest_size, used + 32 * MIB)
        await house.clock.advance(1.0)


async def live(
    path: Path, *, manage: bool = True, ticks: int = TICKS, policy: str = "aerostat"
) -> None:
    """Have two managers, one after the other, write the journal at `path`."""
    house = House(VirtualClock(wall=1.8e9))
    house.budget = 600 * MIB
    house.add("web")
    house.add("db")
    config = parse({"manage": manage, "policy": policy}, "test")
    save_file = SaveFile(path.with_name("state.json"))
    for _ in range(2):
        journal = Journal(path, about=about(Settings(), manage=manage, policy=policy))
        journal.start()
        await house.start(config, journal=journal, save_file=save_file)
        await work(house, ticks // 2)
        if manage:
            house.manager.set_target("fake:web", 200 * MIB)
        await work(house, ticks // 2)
        if manage:
            house.manager.set_target("fake:web", None)
        await house.stop()
        journal.close(10)
        assert journal.condition == "ok"
        await house.clock.advance(3.0)


@pytest.fixture(scope="session")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the journal of a manager that managed, was started again, and ended. Read only."""
    path = tmp_path_factory.mktemp("journal") / "journal.sqlite"
    asyncio.run(live(path))
    return path


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a function that runs one command line in this process."""
    monkeypatch.delenv("AEROSTAT_SOCKET", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TZ", "UTC")

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = invoke([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def write_journal(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that has managers write another journal (see `live`)."""

    def write(**how: Any) -> Path:
        path = tmp_path / "other" / "journal.sqlite"
        path.parent.mkdir()
        asyncio.run(live(path, **how))
        return path

    return write


@pytest.fixture
def copied(journal: Path, tmp_path: Path) -> Path:
    """Give a copy of the journal, to be changed."""
    copy = tmp_path / "copy.sqlite"
    shutil.copyfile(journal, copy)
    return copy
