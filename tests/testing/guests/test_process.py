"""Process guests of the laboratory, on real devices: each test is a guest's whole life."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from aerostat.errors import LinkError, PeerError
from aerostat.model.workload import Step, Workload, idle
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.process import ProcessGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.polling import until
from aerostat.units import MIB

SIZE = 96 * MIB


@pytest_asyncio.fixture
async def house() -> AsyncIterator[Laboratory]:
    """Give a laboratory without room for any but process guests."""
    async with Laboratory(memory=0) as laboratory:
        yield laboratory


async def resize(control: ControlClient, size: int) -> None:
    """Have the balloon leave the guest `size`."""
    control.run("balloon", value=size)
    await until(lambda: control.run("query-balloon")["actual"] == size)


async def test_a_guest_works_while_its_balloon_moves(house: Laboratory) -> None:
    guest = await house.start_process_guest("guest", SIZE)
    assert guest.alive
    assert guest.release == "modelled"
    assert (await guest.command("hold", worker="held", size=8 * MIB))["held"] == 8 * MIB
    await guest.play(Workload("work", (Step(0, 4 * MIB, read_rate=8 * MIB, read_span=MIB),)))
    with ControlClient(house.devices[0].control) as control:
        full = control.sample()
        await resize(control, 72 * MIB)
        small = control.sample()
        assert small["held"] <= 72 * MIB
        assert small["stats"]["stat-free-memory"] < full["stats"]["stat-free-memory"]
        meminfo = (await guest.counters())["meminfo"]
        assert meminfo["MemTotal"] == small["stats"]["stat-total-memory"]
        await resize(control, SIZE)
    report = await guest.report()
    assert report["name"] == "work"
    assert report["damaged"] == 0
    assert (await guest.command("check"))["damaged"] == 0
    with pytest.raises(PeerError, match="there is no 'dance'"):
        await guest.command("dance")
    await guest.stop()
    assert await guest.exited() == 0
    with pytest.raises(LinkError, match="not running"):
        await guest.report()


@pytest.mark.slow
async def test_a_balloon_deflates_before_programs_are_killed(house: Laboratory) -> None:
    guest = await house.start_process_guest("guest", SIZE)
    with ControlClient(house.devices[0].control) as control:
        await resize(control, 60 * MIB)
        await guest.play(idle(36 * MIB))

        async def has_all() -> bool:
            return bool((await guest.report())["held"] == 36 * MIB)

        await until(has_all)
        assert control.run("query-balloon")["actual"] > 60 * MIB
    assert (await guest.counters())["vmstat"]["oom_kill"] == 0


@pytest.mark.slow
async def test_programs_that_are_killed_say_so(house: Laboratory) -> None:
    guest = await house.start_process_guest("guest", SIZE)
    await guest.play(idle(SIZE))

    async def is_killed() -> bool:
        return (await guest.counters())["vmstat"]["oom_kill"] > 0

    await until(is_killed)
    with pytest.raises(PeerError, match="was killed by SIGKILL"):
        await guest.report()
    await guest.play(idle(MIB))
    assert (await guest.report())["name"] == "idle"


async def test_it_ends_with_its_device_and_alone(house: Laboratory) -> None:
    first, other = await asyncio.gather(
        *(house.start_process_guest(name, SIZE) for name in ("first", "other"))
    )
    await house.devices[0].kill()
    lost = next(guest for guest in (first, other) if guest.name == house.devices[0].guest_name)
    left = other if lost is first else first
    assert await lost.exited() == 1
    assert str(house.devices[0].socket) in lost.log.read_text()
    assert left.alive
    assert left.pid is not None
    os.kill(left.pid, signal.SIGKILL)
    assert await left.exited() == -signal.SIGKILL
    with pytest.raises(LinkError):
        await left.counters()


async def test_it_waits_for_its_next_device(house: Laboratory) -> None:
    guest = await house.start_process_guest("guest", SIZE, options=["--reconnect"])
    await guest.command("hold", worker="held", size=16 * MIB)
    device = house.devices[0]
    with ControlClient(device.control) as control:
        await resize(control, 72 * MIB)
    await device.kill()
    held = await guest.command("check")
    assert (held["held"], held["damaged"]) == (16 * MIB, 0)
    await device.start()
    with ControlClient(device.control) as control:
        control.wait_until(lambda: control.sample()["fresh"])
        await resize(control, 68 * MIB)
        await resize(control, SIZE)
    assert (await guest.command("check"))["damaged"] == 0


async def test_what_is_wrong_is_said(house: Laboratory) -> None:
    with pytest.raises(LinkError, match="--peer is 2009"):
        await house.start_process_guest("guest", SIZE, options=["--peer", "1999"])


@pytest.mark.slow
async def test_nothing_is_left_of_a_nursery_that_is_killed(house: Laboratory) -> None:
    guest = await house.start_process_guest("guest", SIZE)
    (record,) = house.directory.glob("nursery.session")
    assert record.exists()
    assert guest.pid is not None
    nursery = int(record.read_text().strip("[").split(",")[0])
    os.kill(nursery, signal.SIGKILL)
    assert await guest.exited() == -signal.SIGKILL
    await until(lambda: not _runs(guest))
    with pytest.raises(LinkError, match="nursery"):
        await house.start_process_guest("late", SIZE)


def _runs(guest: ProcessGuest) -> bool:
    assert guest.pid is not None
    try:
        os.kill(guest.pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
async def test_the_host_gets_back_what_stays_free(house: Laboratory) -> None:
    guest = await house.start_process_guest("guest", SIZE)
    with ControlClient(house.devices[0].control) as control:
        await guest.command("hold", worker="held", size=32 * MIB)
        full = control.sample()["held"]
        await guest.command("hold", worker="held", size=4 * MIB)
        assert control.sample()["held"] == full
        await until(lambda: control.sample()["held"] < full - 20 * MIB)
        assert control.sample()["guest-size"] == SIZE
    assert (await guest.command("check"))["damaged"] == 0
