"""Our driver and Linux's, one after the other in the same real guest: QEMU is told the same.

The balloon is QEMU's own. What a driver tells lies between what /proc says before and after:
counters exactly, gauges as near as they are steady. And the kernel's driver gets the device back.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from aerostat.balloon.statistics import QEMU_KEYS, Tag
from aerostat.guest.procfs import collect
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.parts import GET_NEWER, find_part
from aerostat.testing.guests.python import PythonGuest, package_files
from aerostat.testing.guests.qemu import Parts
from aerostat.testing.polling import until
from aerostat.testing.pytest_plugin import optional_part
from aerostat.units import MIB

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(400)]

PAGE = 4096
SIZE = 224 * MIB
INFLATED = 32 * MIB
ABSENT = 2**64 - 1

# Takes memory and lets it go, and reads more of the disk than there is memory for. A session of
# its own, to be ended whole.
LOAD = (
    "setsid sh -c 'while dd if=/dev/vda of=/dev/null bs=1M; do"
    " dd if=/dev/zero of=/store/load bs=1M count=16; rm /store/load; done'"
)
DISK = 256 * MIB

GAUGES = {Tag.FREE_MEMORY, Tag.AVAILABLE_MEMORY, Tag.DISK_CACHES}
# How far a gauge may be from where /proc saw it before and after. At rest 60 KiB were seen; under
# the load, which takes and frees 16 MiB at once, 13 MiB.
AT_REST = 512 * 1024
UNDER_LOAD = 32 * MIB
# On a busy machine much can happen between two looks, so of many samples one has to be near.
TRIES = 12
# What our driver itself needs, a huge page for its rings included: 8 MiB were seen.
OURS = 24 * MIB


class Setting(NamedTuple):
    """A machine, its balloon, and how our driver speaks to it."""

    newest: bool
    balloon: str
    arguments: str = ""

    @property
    def parts(self) -> Parts:
        """The usual QEMU and kernel, or the newest of both."""
        if not self.newest:
            return Parts()
        return Parts(find_part("newest", GET_NEWER), str(find_part("qemu11", GET_NEWER)))


SETTINGS = {
    "modern": Setting(newest=False, balloon="deflate-on-oom=off"),
    "legacy": Setting(False, "deflate-on-oom=on,disable-modern=on", "--legacy"),
    "newest": Setting(newest=True, balloon="deflate-on-oom=off"),
    "newest-oom": Setting(newest=True, balloon="deflate-on-oom=on"),
}


class Sample(NamedTuple):
    """What a driver told QEMU, by tag, between two looks at /proc."""

    before: dict[int, int]
    told: dict[int, int]
    after: dict[int, int]

    def check(self) -> None:
        """See that the counters are enclosed."""
        for tag in self.told.keys() - GAUGES - {Tag.TOTAL_MEMORY}:
            assert self.before[tag] <= self.told[tag] <= self.after[tag], (Tag(tag).name, self)

    def gauges_are_near(self, within: int) -> bool:
        """Return whether the gauges are."""
        low = {tag: min(self.before[tag], self.after[tag]) - within for tag in GAUGES}
        high = {tag: max(self.before[tag], self.after[tag]) + within for tag in GAUGES}
        return all(low[tag] <= self.told[tag] <= high[tag] for tag in GAUGES & self.told.keys())


class Machine:
    """A guest, and the monitor of the QEMU that it runs on."""

    def __init__(self, guest: PythonGuest, qemu: ControlClient) -> None:
        self.guest = guest
        self.qemu = qemu
        self.stats: dict[str, int] = {}  # what QEMU was told last

    async def look(self) -> dict[int, int]:
        """Return what /proc says, by the tags of the statistics."""
        counters = await self.guest.counters()
        return collect(counters["vmstat"], counters["meminfo"], page_size=PAGE)

    async def meet_driver(self) -> None:
        """Wait for what a driver tells without being asked when it starts.

        It is not asked before: these figures would be taken for its answer, and the answer, still
        on its way, for that to the next question.
        """
        await until(self.is_told, within=60.0)

    async def sample(self) -> Sample:
        """Have the driver asked once, and wait for what it tells. Nothing else is on its way."""
        before = await self.look()
        for interval in (0, 3600):  # from 0 to something: QEMU asks at once
            self.qemu.set("guest-stats-polling-interval", interval)
        await until(self.is_told, within=30.0)
        return Sample(before, told(self.stats), await self.look())

    def is_told(self) -> bool:
        """Return whether QEMU has been told something since: counters of faults always move."""
        stats: dict[str, int] = self.qemu.get("guest-stats")["stats"]
        anew = stats != self.stats and stats["stat-total-memory"] != ABSENT
        if anew:
            self.stats = stats
        return anew

    async def inflate_to(self, size: int) -> None:
        """Wait until the balloon is of this size."""
        self.qemu.run("balloon", value=SIZE - size)
        await until(lambda: self.balloon_size() == size, within=60.0)

    def balloon_size(self) -> int:
        """Return what QEMU was told that the balloon holds."""
        return SIZE - int(self.qemu.run("query-balloon")["actual"])

    async def under_load(self) -> list[Sample]:
        """Return samples of a guest that is at work, and short of memory.

        The last one is the first of which the gauges are near, or one of `TRIES`.
        """
        load = await self.guest.begin(LOAD)
        scanned = (await self.look())[Tag.ASYNC_SCANS]

        async def reclaims() -> bool:
            return (await self.look())[Tag.ASYNC_SCANS] > scanned

        await until(reclaims, within=60.0)
        samples = [await self.sample() for _ in range(3)]
        while len(samples) < TRIES and not samples[-1].gauges_are_near(UNDER_LOAD):
            samples.append(await self.sample())
        await self.guest.signal(-load, "KILL")
        await self.guest.ended(load)
        await self.guest.run("rm -f /store/load")
        return samples


def told(stats: dict[str, int]) -> dict[int, int]:
    """Return what QEMU was told: it says of the others that they are -1."""
    known = {key: tag for tag, key in QEMU_KEYS.items()}
    return {known[key]: value for key, value in stats.items() if value != ABSENT}


@pytest.fixture(params=[*SETTINGS.values()], ids=[*SETTINGS])
def setting(request: pytest.FixtureRequest) -> Setting:
    with optional_part():
        assert request.param.parts
    setting: Setting = request.param
    return setting


@pytest.fixture
async def machine(setting: Setting, run_directory: Path) -> AsyncIterator[Machine]:
    disk = run_directory / "disk"
    with disk.open("wb") as sparse:
        sparse.truncate(DISK)
    guest = PythonGuest(
        "one",
        size=SIZE,
        directory=run_directory,
        balloon=setting.balloon,
        disk=disk,
        parts=setting.parts,
        files=package_files(),
    )
    try:
        await guest.start()
        with ControlClient(guest.control) as qemu:
            yield Machine(guest, qemu)
    finally:
        await guest.stop()


async def observe(machine: Machine) -> dict[int, dict[int, int]]:
    """Check what whichever driver is there tells, at rest and under load; return the former.

    By the size of the balloon.
    """
    at_rest = {}
    await machine.meet_driver()
    for size in (0, INFLATED):
        await machine.inflate_to(size)
        quiet = await machine.sample()
        quiet.check()
        assert quiet.gauges_are_near(AT_REST), quiet
        at_rest[size] = quiet.told
        samples = await machine.under_load()
        for busy in samples:
            busy.check()
        assert samples[-1].gauges_are_near(UNDER_LOAD), samples
    await machine.inflate_to(0)
    return at_rest


@pytest.mark.statement("DRV-STATS-4", "DRV-STATS-7", "DRV-STATS-8", "DRV-OP-11")
async def test_qemu_is_told_the_same_by_either_driver(machine: Machine, setting: Setting) -> None:
    total = (await machine.look())[Tag.TOTAL_MEMORY]
    linux = await observe(machine)

    driver = await machine.guest.begin(f"python3 -m aerostat.guest {setting.arguments}")

    async def drives() -> bool:
        return "interface" in await machine.guest.output(driver)

    await until(drives, within=60.0)
    ours = await observe(machine)

    for size in (0, INFLATED):
        assert ours[size].keys() == linux[size].keys()
        seen = total if "oom=on" in setting.balloon else total - size
        assert linux[size][Tag.TOTAL_MEMORY] == ours[size][Tag.TOTAL_MEMORY] == seen
        assert abs(linux[size][Tag.FREE_MEMORY] - ours[size][Tag.FREE_MEMORY]) < OURS
    assert (len(ours[0]) == len(Tag)) == setting.newest

    await machine.guest.signal(driver, "TERM")
    assert await machine.guest.ended(driver) == 0, await machine.guest.output(driver)
    await machine.inflate_to(INFLATED)
    vmstat = (await machine.guest.counters())["vmstat"]
    assert (vmstat["balloon_inflate"] - vmstat["balloon_deflate"]) * PAGE == INFLATED
    await machine.meet_driver()
    again = await machine.sample()
    again.check()
    assert again.gauges_are_near(AT_REST), again
    assert again.told.keys() == linux[0].keys()
