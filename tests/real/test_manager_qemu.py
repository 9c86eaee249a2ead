"""``aerostat run`` over plain QEMU guests with QEMU's own balloon: what users can deploy today."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aerostat.daemon.snapshot import GuestRow, Snapshot
from aerostat.testing.guests.qemu import QemuGuest
from aerostat.testing.processes.manager import ManagerProcess
from aerostat.units import MIB

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(180)]

SIZE = 256 * MIB
# What QEMU needs for itself counts too, as the host sees it.
BUDGET = 360 * MIB
WANTED = 96 * MIB
GUARANTEE = SIZE // 4

House = dict[str, QemuGuest]


@pytest.fixture
async def house(run_directory: Path) -> AsyncIterator[House]:
    """Two guests: one with nothing to do, one that is to grow."""
    house = {
        name: QemuGuest(name, size=SIZE, directory=run_directory) for name in ("idle", "hungry")
    }
    try:
        await asyncio.gather(*(guest.start() for guest in house.values()))
        yield house
    finally:
        await asyncio.gather(*(guest.stop() for guest in house.values()))


@pytest.fixture
async def managers(house: House, run_directory: Path) -> AsyncIterator[dict[str, ManagerProcess]]:
    """One that only observes and one that manages, neither of them started."""
    managers = {
        mode: ManagerProcess(directory=run_directory, budget=BUDGET, manage=mode == "manage")
        for mode in ("observe", "manage")
    }
    yield managers
    for manager in managers.values():
        await manager.kill()


def row(snapshot: Snapshot, name: str) -> GuestRow:
    (found,) = snapshot.find(name)
    return found


def size(snapshot: Snapshot, name: str) -> int:
    """Return a guest's size; 0 while it has not answered."""
    return row(snapshot, name).guest_size or 0


def permitted(snapshot: Snapshot) -> int:
    (host,) = snapshot.hosts
    assert host.permitted is not None
    return host.permitted


async def test_the_idle_give_and_the_hungry_get(
    house: House, managers: dict[str, ManagerProcess]
) -> None:
    observer, manager = managers["observe"], managers["manage"]
    await observer.start()
    wished = await observer.snapshot(lambda now: all(guest.last_move for guest in now.guests))
    assert {guest.guest_size for guest in wished.guests} == {SIZE}
    await observer.ticks(5)
    assert await observer.stop() == 0
    assert {guest.guest_size for guest in observer.latest.guests} == {SIZE}, "it was to observe"

    await manager.start()
    tight = await manager.snapshot(
        lambda now: permitted(now) <= BUDGET and all(size(now, name) for name in house)
    )
    for guest in tight.guests:
        assert guest.condition == "fresh"
        assert guest.statistics["hugetlb_failures"] == 0
    listed = await manager.call("list", "--json")
    assert {guest["name"] for guest in json.loads(listed.out)["guests"]} == set(house)

    before = await house["idle"].counters()
    await house["hungry"].fill(WANTED)
    final = await manager.snapshot(
        lambda now: permitted(now) <= BUDGET and size(now, "hungry") > BUDGET // 2
    )
    assert size(final, "idle") < size(tight, "idle")
    assert await manager.stop() == 0
    for snapshot in manager.snapshots:
        for name in house:
            assert not size(snapshot, name) or size(snapshot, name) >= GUARANTEE
    # The guests' own view: what was given is gone, what was filled is there.
    after = await house["idle"].counters()
    lost = before["meminfo"]["MemFree"] - after["meminfo"]["MemFree"]
    assert abs(lost - (size(tight, "idle") - size(manager.latest, "idle"))) < 16 * MIB
    assert (await house["hungry"].counters())["meminfo"]["Shmem"] >= WANTED
    for name in house:
        assert (await house[name].counters())["vmstat"]["oom_kill"] == 0
    assert "Traceback" not in manager.log.read_text()
