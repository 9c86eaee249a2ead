"""``aerostat run`` over user-mode Linux guests: the main job, as a user starts it."""

import asyncio
import json
import os
import re
from collections.abc import Callable

import pytest

from aerostat.balloon.statistics import NAMES
from aerostat.daemon.snapshot import GuestRow, Snapshot
from aerostat.model.workload import Step, Workload
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.uml import UmlGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.polling import until
from aerostat.testing.processes.manager import ManagerProcess
from aerostat.units import MIB

pytestmark = pytest.mark.uml

SIZE = 256 * MIB
# Less than two thirds of what the three have together, and enough for what they do.
BUDGET = 480 * MIB
# What the hungry one comes to hold. With its kernel and interpreter (76 MiB) and a reserve, that
# is more than the 160 MiB of an equal share.
WANTED = 112 * MIB
# A quarter of the maximum is what is guaranteed where nothing else is said.
GUARANTEE = SIZE // 4

MakeManager = Callable[..., ManagerProcess]
House = dict[str, UmlGuest]


@pytest.fixture
async def house(laboratory: Laboratory) -> House:
    """Three guests: one with nothing to do, one with a full page cache, one that is to grow."""
    names = ("idle", "files", "hungry")
    guests = await asyncio.gather(*(laboratory.start_guest(name, SIZE) for name in names))
    for guest in guests:
        await guest.command("hold", worker="held", size=16 * MIB)
    library = laboratory.directory / "library"
    library.touch()
    os.truncate(library, 128 * MIB)
    house = {guest.name: guest for guest in guests}
    await house["files"].command(
        "read_host_file", worker="reader", path=str(library), size=128 * MIB
    )
    return house


def row(snapshot: Snapshot, name: str) -> GuestRow:
    (found,) = snapshot.find(name)
    return found


def guest_size(snapshot: Snapshot, name: str) -> int:
    size = row(snapshot, name).guest_size
    assert size is not None
    return size


def permitted(snapshot: Snapshot) -> int:
    (host,) = snapshot.hosts
    assert host.permitted is not None
    return host.permitted


async def grow(guest: UmlGuest, size: int) -> None:
    """Have the guest come to hold this much more, at the pace of a program that works."""
    await guest.play(Workload("grow", (Step(0, size),), grow_rate=20 * MIB))

    async def is_grown() -> bool:
        report = await guest.report()
        assert report["damaged"] == 0
        return bool(report["held"] == size)

    await until(is_grown, within=60)


async def assert_unharmed(guest: UmlGuest) -> None:
    assert (await guest.command("check", worker="held"))["damaged"] == 0
    assert (await guest.counters())["vmstat"]["oom_kill"] == 0


async def test_the_idle_give_and_the_hungry_get(house: House, manager_of: MakeManager) -> None:
    manager = manager_of(budget=BUDGET, manage=True)
    await manager.start()
    assert permitted(manager.latest) > BUDGET
    tight = await manager.snapshot(lambda now: permitted(now) <= BUDGET)
    # What is free in these is enough. The third has files in its memory, and nobody counts what it
    # reads of them, so it keeps them while it may.
    for name in ("idle", "hungry"):
        assert guest_size(tight, name) < SIZE

    await grow(house["hungry"], WANTED)
    final = await manager.snapshot(
        lambda now: permitted(now) <= BUDGET and guest_size(now, "hungry") > BUDGET // 3
    )
    assert guest_size(final, "hungry") > guest_size(tight, "hungry")
    assert guest_size(final, "hungry") > guest_size(final, "idle")
    for snapshot in manager.snapshots:
        assert min(guest_size(snapshot, name) for name in house) >= GUARANTEE
    for guest in house.values():
        await assert_unharmed(guest)
    assert (await house["hungry"].report())["damaged"] == 0
    assert await manager.stop() == 0
    assert "Traceback" not in manager.log.read_text()


async def test_the_commands_reach_a_manager(house: House, manager_of: MakeManager) -> None:
    manager = manager_of(budget=4 * SIZE, manage=True)
    await manager.start()
    await manager.snapshot(lambda now: all(guest.free_memory for guest in now.guests))
    listed, shown, told, explained, nobody = await asyncio.gather(
        manager.call("list", "--json"),
        manager.call("stats", "files", "--json"),
        manager.call("set", "idle", "240MiB", "--json"),
        manager.call("explain", "files"),
        manager.call("explain", "nobody"),
    )
    assert {guest["name"] for guest in json.loads(listed.out)["guests"]} == set(house)
    files = json.loads(shown.out)["guest"]
    assert (files["max_size"], files["condition"]) == (SIZE, "fresh")
    assert files["disk_caches"] > 128 * MIB
    assert set(files["statistics"]) <= set(NAMES.values())
    assert json.loads(told.out)["size"] == 240 * MIB
    assert re.match(r"files could give \d+ MiB, but nobody needs it\nsample ", explained.out)
    assert (nobody.code, nobody.out) == (3, "")
    assert "shows those there are" in nobody.err

    await manager.snapshot(lambda now: guest_size(now, "idle") == 240 * MIB)
    free = await manager.call("set", "idle", "auto")
    assert (free.code, free.err) == (0, "")
    await manager.snapshot(lambda now: guest_size(now, "idle") > 240 * MIB)


async def test_without_manage_no_target_ever_changes(
    house: House, laboratory: Laboratory, manager_of: MakeManager
) -> None:
    with ControlClient(laboratory.devices[0].control) as control:
        # As some other manager left it; an observer must not touch that either.
        control.run("balloon", value=200 * MIB)
        control.wait_until(lambda: control.run("query-balloon")["actual"] == 200 * MIB)
    manager = manager_of(budget=BUDGET, manage=False)
    await manager.start()
    assert manager.latest.mode == "observe"
    # It sees what it would do, and goes on seeing it.
    wished = await manager.snapshot(lambda now: any(guest.last_move for guest in now.guests))
    assert permitted(wished) > BUDGET
    refused = await manager.call("set", "files", "128MiB")
    assert refused.code == 2
    assert "only observes" in refused.err
    await manager.ticks(20)
    assert await manager.stop() == 0
    assert manager.latest.moves == 0
    for device in laboratory.devices:
        wanted = 200 * MIB if device is laboratory.devices[0] else SIZE
        with ControlClient(device.control) as control:
            sample = control.sample()
            assert sample["target-size"] == sample["guest-size"] == wanted
            assert not control.events
