"""Deaths and garbage: whoever dies or raves harms at most its own guest."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aerostat.daemon.snapshot import Snapshot
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.uml import UmlGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.processes.device import DeviceProcess
from aerostat.testing.processes.manager import ManagerProcess
from aerostat.units import MIB

pytestmark = pytest.mark.uml

SIZE = 192 * MIB
NAMES = ("one", "two", "three")
# Two thirds of what all have: the balloons move for some seconds after the manager has started.
BUDGET = 2 * SIZE
HELD = 16 * MIB

MakeManager = Callable[..., ManagerProcess]


@pytest.fixture
def chance() -> random.Random:
    """Moments that differ from run to run."""
    seed = os.environ.get("AEROSTAT_SEED") or str(random.SystemRandom().randrange(1 << 32))
    print(f"AEROSTAT_SEED={seed} chooses the same")
    return random.Random(seed)


@pytest.fixture
async def guests(laboratory: Laboratory) -> list[UmlGuest]:
    guests = await asyncio.gather(*(laboratory.start_guest(name, SIZE) for name in NAMES))
    for guest in guests:
        await guest.command("hold", worker="held", size=HELD)
    return guests


def device_of(laboratory: Laboratory, guest: UmlGuest) -> DeviceProcess:
    (device,) = (one for one in laboratory.devices if one.guest_name == guest.name)
    return device


def reach(control: ControlClient, size: int) -> None:
    control.run("balloon", value=size)
    control.wait_until(lambda: control.run("query-balloon")["actual"] == size)


def size_at_rest(device: DeviceProcess) -> int:
    """Return the guest's size, once its balloon has arrived where it was last asked to go."""
    with ControlClient(device.control) as control:
        sample = control.sample
        control.wait_until(lambda: sample()["guest-size"] == sample()["target-size"])
        return int(sample()["guest-size"])


async def assert_unharmed(laboratory: Laboratory, guest: UmlGuest) -> None:
    """Look that a guest lives, keeps its memory, reports, and has a balloon that moves."""
    checked = await guest.command("check", worker="held")
    assert (checked["held"], checked["damaged"]) == (HELD, 0)
    assert (await guest.counters())["vmstat"]["oom_kill"] == 0
    with ControlClient(device_of(laboratory, guest).control) as control:
        assert control.sample()["fresh"]
        for size in (SIZE - 24 * MIB, SIZE - 8 * MIB):
            reach(control, size)


def permitted(snapshot: Snapshot) -> int:
    (host,) = snapshot.hosts
    assert host.permitted is not None
    return host.permitted


def fresh(snapshot: Snapshot, guest: UmlGuest) -> bool:
    (row,) = snapshot.find(guest.name)
    return row.condition == "fresh"


async def assert_goes_on(manager: ManagerProcess, others: list[UmlGuest], since: float) -> None:
    """Look that the manager gets figures made since then from all of `others`, and in time."""

    def is_new(snapshot: Snapshot, guest: UmlGuest) -> bool:
        (row,) = snapshot.find(guest.name)
        return row.sample_age is not None and snapshot.time - row.sample_age > since

    after = await manager.ticks(10)
    for guest in others:
        assert all(fresh(snapshot, guest) for snapshot in after)
        assert is_new(after[-1], guest)


async def while_balloons_move(manager: ManagerProcess, chance: random.Random) -> None:
    """Wait for a random moment in which the manager is taking memory."""
    taken = manager.latest.taken
    await manager.snapshot(lambda now: now.taken > taken)
    await asyncio.sleep(chance.uniform(0, 1))


async def test_the_death_of_a_device_costs_its_own_guest_alone(
    laboratory: Laboratory,
    guests: list[UmlGuest],
    manager_of: MakeManager,
    chance: random.Random,
) -> None:
    manager = manager_of(budget=BUDGET, manage=True)
    await manager.start()
    await while_balloons_move(manager, chance)
    victim, *others = chance.sample(guests, len(guests))
    device = device_of(laboratory, victim)
    assert device.pid is not None
    os.kill(device.pid, signal.SIGKILL)
    await device.exited()
    await assert_goes_on(manager, others, time.monotonic())
    assert await manager.stop() == 0
    for guest in others:
        await assert_unharmed(laboratory, guest)
    await victim.kill()  # a guest without its device is of no use


async def test_the_death_of_a_guest_costs_nobody_else(
    laboratory: Laboratory,
    guests: list[UmlGuest],
    manager_of: MakeManager,
    chance: random.Random,
) -> None:
    manager = manager_of(budget=BUDGET, manage=True)
    await manager.start()
    await while_balloons_move(manager, chance)
    victim, *others = chance.sample(guests, len(guests))
    await victim.kill()
    await assert_goes_on(manager, others, time.monotonic())

    # Its device lives, and serves the next guest as it did this one.
    device = device_of(laboratory, victim)
    assert device.alive
    next_guest = UmlGuest(
        victim.name, size=SIZE, directory=laboratory.directory, device_socket=device.socket
    )
    laboratory.guests.append(next_guest)
    await next_guest.start()
    await next_guest.command("hold", worker="held", size=HELD)
    await manager.snapshot(lambda now: fresh(now, next_guest))
    assert await manager.stop() == 0
    for guest in (*others, next_guest):
        await assert_unharmed(laboratory, guest)


async def test_the_death_of_the_manager_harms_nobody_and_the_next_carries_on(
    laboratory: Laboratory,
    guests: list[UmlGuest],
    manager_of: MakeManager,
    chance: random.Random,
) -> None:
    manager = manager_of(budget=BUDGET, manage=True)
    for _ in range(2):
        await manager.start()
        await while_balloons_move(manager, chance)
        await manager.kill()
        # What was asked last still arrives, and then nothing moves.
        left = {guest: size_at_rest(device_of(laboratory, guest)) for guest in guests}
        for guest in guests:
            assert (await guest.command("check", worker="held"))["damaged"] == 0
            assert size_at_rest(device_of(laboratory, guest)) == left[guest]

        await manager.start()
        first = await manager.snapshot(lambda now: all(fresh(now, guest) for guest in guests))
        for guest in guests:
            (row,) = first.find(guest.name)
            assert row.guest_size is not None
            # In its first ticks it may have moved a little; it has not begun anew.
            assert left[guest] - 16 * MIB < row.guest_size <= left[guest]
        await manager.kill()
    await manager.start()
    final = await manager.snapshot(lambda now: permitted(now) <= BUDGET)
    assert final.problems == ()
    assert await manager.stop() == 0
    assert "Traceback" not in manager.log.read_text()
    for guest in guests:
        await assert_unharmed(laboratory, guest)


def spew(path: Path, chance: random.Random, conversations: int) -> None:
    """Be a front-end that has gone mad, one conversation after the other."""
    for _ in range(conversations):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(path))
            connection.settimeout(10)
            # It is cut off sooner or later.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for _ in range(chance.randrange(1, 20)):
                    connection.sendall(garbage(chance))


def garbage(chance: random.Random) -> bytes:
    """Return noise, or what at least begins as a message of vhost-user does."""
    size = chance.choice((0, 4, 8, 16, 300, 1 << 20))
    payload = chance.randbytes(min(size, 4096))
    request = chance.randrange(45).to_bytes(4, "little")
    flags = chance.choice((1, 9)).to_bytes(4, "little")
    return (
        payload if chance.random() < 0.3 else request + flags + size.to_bytes(4, "little") + payload
    )


async def test_a_front_end_that_raves_delays_nobody_else(
    laboratory: Laboratory, guests: list[UmlGuest], chance: random.Random
) -> None:
    device = DeviceProcess("raving", size=SIZE, directory=laboratory.directory)
    laboratory.devices.append(device)
    await device.start()
    connector = QmpConnector([str(laboratory.directory / "*.sock")])
    await connector.start()
    try:
        found = {guest.source: guest.key for guest in await connector.guests()}
        keys = [found[str(device_of(laboratory, guest).control)] for guest in guests]
        await connector.sample([*found.values()], 5.0)
        raving = asyncio.create_task(asyncio.to_thread(spew, device.socket, chance, 200))
        samples = 0
        while not raving.done() or samples < 10:
            asked = time.monotonic()
            readings = await connector.sample([*found.values()], 5.0)
            for key in keys:
                reading = readings[key]
                assert isinstance(reading, Reading), reading
                assert reading.sampled_at is not None
                assert reading.sampled_at >= asked, "not a fresh one"
            samples += 1
        await raving
    finally:
        await connector.close()
    with ControlClient(device.control) as control:
        counters = control.sample(timeout=0)["counters"]
    assert counters["front_ends"] > 100
    assert counters["broken_conversations"] > 0
    assert device.alive
    for guest in guests:
        await assert_unharmed(laboratory, guest)
