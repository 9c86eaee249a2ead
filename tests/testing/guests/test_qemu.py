"""QEMU guests, as the laboratory starts, commands and ends them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from aerostat.errors import LinkError, MissingError, PeerError
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.qemu import Parts, QemuGuest
from aerostat.testing.processes.sessions import Session
from aerostat.units import MIB

SIZE = 256 * MIB
# Since 6.7 Linux may keep up to an eighth of its memory on lists of each CPU, not counted as free.
KEPT = SIZE // 8


def test_missing_parts_are_named_with_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")
    with pytest.raises(MissingError, match="make lab"):
        Parts(tmp_path)


@pytest_asyncio.fixture
async def guest(run_directory: Path) -> AsyncIterator[QemuGuest]:
    guest = QemuGuest("one", size=SIZE, directory=run_directory)
    await guest.start()
    yield guest
    await guest.kill()


@pytest.mark.qemu
async def test_a_guest_obeys_gives_takes_and_leaves_nothing(
    guest: QemuGuest, run_directory: Path
) -> None:
    assert guest.pid is not None
    session = Session.of(guest.pid)

    before = (await guest.counters())["meminfo"]
    await guest.fill(96 * MIB)
    filled = (await guest.counters())["meminfo"]
    assert abs(before["MemFree"] - filled["MemFree"] - 96 * MIB) < KEPT
    await guest.free()

    with pytest.raises(PeerError, match="nonsense"):
        await guest.command("nonsense")

    with ControlClient(guest.control) as control:
        statistics_come(control)
        control.run("balloon", value=128 * MIB)
        control.wait_until(lambda: control.run("query-balloon")["actual"] == 128 * MIB)
        small = (await guest.counters())["meminfo"]
        assert abs(before["MemFree"] - small["MemFree"] - 128 * MIB) < KEPT

    await guest.stop()
    assert await guest.exited() == 0
    assert session.members() == []
    assert not guest.control.exists()
    with pytest.raises(LinkError):
        await guest.command("ping")


def statistics_come(control: ControlClient) -> None:
    """Have QEMU ask the guest's driver until it has answered."""
    control.set("guest-stats-polling-interval", 1)
    control.wait_until(lambda: 0 < control.get("guest-stats")["stats"]["stat-total-memory"] < SIZE)
