"""A hundred random targets under a memory load: nothing is lost, and the balloon gets there."""

import asyncio
import random
import re

import pytest

from aerostat.model import workload
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.uml import UmlGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.polling import until
from aerostat.units import MIB

pytestmark = pytest.mark.uml

SIZE = 256 * MIB
TARGETS = 100
# The workers and the kernel need about 120 MiB at the load's peak; a target below what is needed
# is one that the driver tries and fails to reach, again and again.
LEAST = 96 * MIB
FILES = {"first": 12 * MIB, "second": 5 * MIB + 123}

# What a device counts when all is well; the rest are faults of one side or the other.
USUAL = ("front_ends", "punches", "punched_bytes")
# What Linux says when something of its own has gone wrong, and not just memory has run short.
TROUBLE = re.compile(r"WARNING|BUG|Oops|[Pp]anic|Call Trace|blocked for more than|stall|corrupt")


async def write_files(guest: UmlGuest) -> dict[str, int]:
    """Write files into the guest's memory; return their checksums."""
    return {
        name: (
            await guest.command("write_file", worker="writer", name=name, size=size, seed=len(name))
        )["checksum"]
        for name, size in FILES.items()
    }


async def read_files(guest: UmlGuest) -> dict[str, int]:
    return {
        name: (await guest.command("checksum", worker="writer", name=name))["checksum"]
        for name in FILES
    }


async def test_a_hundred_random_targets_under_load(laboratory: Laboratory) -> None:
    chance = random.Random(0xBA110)
    guest = await laboratory.start_guest("guest", SIZE)
    written = await write_files(guest)
    await guest.play(workload.steps(8 * MIB, 40 * MIB, every=0.3))
    with ControlClient(laboratory.devices[0].control) as control:
        target = SIZE
        for _ in range(TARGETS):
            target = chance.randrange(LEAST, SIZE, 4096)
            control.run("balloon", value=target)
            # Some are taken back before the driver has begun, some are reached.
            await asyncio.sleep(chance.choice((0, 0, 0.01, 0.05, 0.2)))
        target = 200 * MIB
        control.run("balloon", value=target)
        await until(lambda: bool(control.run("query-balloon")["actual"] == target), within=60)
        # It stays there, and still reports.
        sample = control.sample()
        assert (sample["fresh"], sample["guest-size"]) == (True, target)
        counters = sample["counters"]

    assert counters["punched_bytes"] > TARGETS * MIB, "the targets moved next to nothing"
    assert not {name: n for name, n in counters.items() if n and name not in USUAL}
    report = await guest.report()
    assert report["grown"] > 40 * MIB, "there was no load"
    assert report["damaged"] == 0
    assert await read_files(guest) == written
    assert (await guest.counters())["vmstat"]["oom_kill"] == 0
    log = await guest.command("kernel_log")
    assert "Linux version" in log
    assert not TROUBLE.findall(log), log
