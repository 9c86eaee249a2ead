"""Devices that are taken over while their guests are at work, and the guests' memory afterwards."""

import asyncio
import contextlib
import time
from random import Random
from typing import Any

import pytest

from aerostat.errors import LinkError
from aerostat.testing.control_client import ControlClient
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.polling import until
from aerostat.units import MIB

SUCCESSORS = 50

# What a device counts of its peers' misdeeds, and what must not be there.
MISDEEDS = ("bad_addresses", "bad_chains", "broken_rings", "extra_statistics", "outside_pages")
LINK_FAULTS = ("broken_conversations", "refused_requests", "lost_calls", "failed_punches")


async def succeed(laboratory: Laboratory) -> None:
    """Have another process go on as the first device."""
    laboratory.devices[0] = await laboratory.devices[0].successor()


def sample(laboratory: Laboratory) -> dict[str, Any]:
    with ControlClient(laboratory.devices[0].control) as control:
        return control.sample()


async def reached(laboratory: Laboratory, size: int) -> None:
    await until(lambda: bool(sample(laboratory)["guest-size"] == size), within=30.0)


def order(laboratory: Laboratory, targets: list[int]) -> None:
    """Order one target after the other until the device hangs up, as it is another's now."""
    control = ControlClient(laboratory.devices[0].control)
    with control, contextlib.suppress(LinkError, OSError):
        for target in targets:
            control.run("balloon", value=target)
            time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("rings", ["split", "packed"])
async def test_fifty_successors_of_a_device_whose_guest_is_at_work(
    laboratory: Laboratory, rings: str
) -> None:
    source = Random(7)
    size = 128 * MIB
    options = ("--packed-rings",) if rings == "packed" else ()
    guest = await laboratory.start_process_guest("guest", size, device_options=options)
    await guest.command("hold", worker="kept", size=24 * MIB)
    for number in range(SUCCESSORS if rings == "split" else SUCCESSORS // 5):
        await guest.command("hold", worker="load", size=source.randrange(16) * MIB)
        targets = [source.randrange(100 * MIB, size, 4096) for _ in range(1000)]
        storm = asyncio.create_task(asyncio.to_thread(order, laboratory, targets))
        await succeed(laboratory)
        await storm
        if number % 10 == 0:
            await reached(laboratory, sample(laboratory)["target-size"])
            assert (await guest.command("check", worker="kept"))["damaged"] == 0
    with ControlClient(laboratory.devices[0].control) as control:
        control.run("balloon", value=size)
    await reached(laboratory, size)
    last = sample(laboratory)
    assert last["fresh"]
    assert last["counters"]["front_ends"] == 1
    assert last["counters"]["punched_bytes"] > 2 * size
    assert not any(last["counters"][name] for name in (*MISDEEDS, *LINK_FAULTS))
    assert (await guest.command("check", worker="kept"))["damaged"] == 0
    assert (await guest.command("ping"))["link"] == "running"


@pytest.mark.uml
async def test_linux_does_not_notice_who_inflates_its_balloon(laboratory: Laboratory) -> None:
    size, small = 256 * MIB, 112 * MIB
    guest = await laboratory.start_guest("guest", size, device_options=("--free-page-hint",))
    await guest.command("hold", worker="kept", size=32 * MIB)
    seen = []
    for target in (small, size, small):
        with ControlClient(laboratory.devices[0].control) as control:
            control.run("balloon", value=target)
        for _ in range(2):
            await succeed(laboratory)
            seen.append(sample(laboratory)["guest-size"])
        await reached(laboratory, target)
    with ControlClient(laboratory.devices[0].control) as control:
        assert control.run("aerostat-hint")["complete"]
        control.run("balloon", value=size)
    await reached(laboratory, size)
    last = sample(laboratory)
    assert last["fresh"]
    assert last["counters"]["front_ends"] == 1
    assert last["counters"]["punched_bytes"] == 2 * (size - small)
    assert not any(last["counters"][name] for name in (*MISDEEDS, *LINK_FAULTS))
    assert (await guest.command("check", worker="kept"))["damaged"] == 0
