"""Process guests under a manager: many of them, and some with a driver of 2009."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from aerostat.balloon.statistics import QEMU_KEYS, Tag
from aerostat.daemon.snapshot import GuestRow, Snapshot
from aerostat.model.workload import Step, Workload, burst, reader
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.process import ProcessGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.polling import until
from aerostat.testing.processes.manager import ManagerProcess
from aerostat.units import MIB

pytestmark = pytest.mark.slow

MakeManager = Callable[..., ManagerProcess]

SIZE = 256 * MIB
GUARANTEE = SIZE // 4  # where nothing else is said
BUDGET = 480 * MIB

# What there was in 2009; everything else is absent, and has all bits set.
SIX = {QEMU_KEYS[tag] for tag in Tag if tag <= Tag.TOTAL_MEMORY}
ABSENT = (1 << 64) - 1


@pytest.fixture(params=["little", "big"])
async def old_guests(
    laboratory: Laboratory, request: pytest.FixtureRequest
) -> dict[str, ProcessGuest]:
    """Three guests of 2009 of either byte order: idle, with a full page cache, and to grow."""
    options = ["--peer", "2009", "--byteorder", request.param]
    names = ("idle", "files", "hungry")
    guests = await asyncio.gather(
        *(laboratory.start_process_guest(name, SIZE, options=options) for name in names)
    )
    house = {guest.name: guest for guest in guests}
    for guest in guests:
        await guest.command("hold", worker="held", size=16 * MIB)
    await house["files"].play(reader(0, rate=40 * MIB, span=128 * MIB))
    return house


def known(statistics: Mapping[str, object]) -> set[str]:
    return {key for key, value in statistics.items() if value not in (ABSENT, {})}


def row(snapshot: Snapshot, name: str) -> GuestRow:
    (found,) = snapshot.find(name)
    return found


def guest_size(snapshot: Snapshot, name: str) -> int:
    size = row(snapshot, name).guest_size
    assert size is not None
    return size


def permitted(snapshot: Snapshot) -> int:
    return sum(host.permitted or 0 for host in snapshot.hosts)


async def assert_unharmed(guest: ProcessGuest) -> None:
    assert (await guest.command("check", worker="held"))["damaged"] == 0
    assert (await guest.counters())["vmstat"]["oom_kill"] == 0


@pytest.mark.statement("LEG-STATS-1", "LEG-STATS-2", "LEG-FEAT-1")
async def test_guests_of_2009_are_served_well(
    old_guests: dict[str, ProcessGuest], laboratory: Laboratory, manager_of: MakeManager
) -> None:
    for device in laboratory.devices:
        with ControlClient(device.control) as control:
            # What an old driver sends first is not yet filled in, and left out (5.5.6.3.3).
            control.wait_until(lambda: known(control.sample()["stats"]) == SIX)
    manager = manager_of(budget=BUDGET, manage=True)
    await manager.start()
    assert permitted(manager.latest) > BUDGET
    tight = await manager.snapshot(lambda now: permitted(now) <= BUDGET)

    hungry = old_guests["hungry"]
    wanted = 112 * MIB
    await hungry.play(Workload("grow", (Step(0, wanted),), grow_rate=10 * MIB))

    async def has_grown() -> bool:
        return bool((await hungry.report())["held"] >= wanted)

    await until(has_grown, within=60)
    final = await manager.snapshot(
        lambda now: permitted(now) <= BUDGET and guest_size(now, "hungry") > BUDGET // 3
    )
    assert guest_size(final, "hungry") > guest_size(tight, "hungry")
    assert guest_size(final, "hungry") > guest_size(final, "idle")
    for snapshot in manager.snapshots:
        for name in old_guests:
            assert guest_size(snapshot, name) >= GUARANTEE
            assert row(snapshot, name).available_memory is None
    for guest in old_guests.values():
        await assert_unharmed(guest)
    assert await manager.stop() == 0


async def test_a_hundred_guests(laboratory: Laboratory, manager_of: MakeManager) -> None:
    turns = asyncio.Semaphore(8)

    async def start(number: int) -> ProcessGuest:
        async with turns:
            guest = await laboratory.start_process_guest(f"guest{number}", 96 * MIB)
        await guest.play(burst(4 * MIB, 8 * MIB, at=1 + number % 7, length=3, period=10))
        return guest

    guests = await asyncio.gather(*map(start, range(100)))
    manager = manager_of(budget=100 * 96 * MIB, manage=False, interval=1.0)
    await manager.start(within=60)
    seen = await manager.snapshot(
        lambda now: sum(guest.condition == "fresh" for guest in now.guests) == 100
    )
    assert {guest.name for guest in seen.guests} == {guest.name for guest in guests}
    assert all(guest.free_memory and guest.held for guest in seen.guests)
    reports = await asyncio.gather(*(guest.report() for guest in guests))
    assert not any(report["damaged"] for report in reports)
    assert all(guest.alive for guest in guests)
    assert await manager.stop() == 0
