"""What a guest sends, held against what its own /proc says before and after."""

import asyncio
import contextlib
import struct
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.model import workload
from aerostat.testing.guests.qemu import QemuGuest
from aerostat.testing.guests.uml import UmlGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.polling import until
from aerostat.testing.processes import places, sessions
from aerostat.units import KIB, MIB

# One boot for all tests of a kind of guest.
pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE = 192 * MIB
BALLOONS = (0, 64 * MIB)

# A guest at rest is not quite still: reading /proc takes a program some pages (in a QEMU guest a
# new process each time), a page is freed here and there, and Linux counts them on each CPU by
# itself for a while. Seen were at most 8 KiB; the size of a process or two leaves room.
REST_TOLERANCE = 512 * KIB

# What was freed or given back is not all counted as free again: since 6.7 Linux may keep up to an
# eighth of a zone on lists of each CPU (seen: 14 MiB of 192 with 7.3; 6.1 keeps 2 MiB).
FREE_TOLERANCE = SIZE // 8

Figures = Mapping[int, int]
Counters = Mapping[str, Mapping[str, int]]

# Linux: update_balloon_stats() in drivers/virtio/virtio_balloon.c, and where mm/vmstat.c shows
# the same. Counts, and pages that are sent as bytes.
COUNTS = {
    Tag.MAJOR_FAULTS: "pgmajfault",
    Tag.MINOR_FAULTS: "pgfault",
    Tag.HUGETLB_ALLOCATIONS: "htlb_buddy_alloc_success",
    Tag.HUGETLB_FAILURES: "htlb_buddy_alloc_fail",
    Tag.OOM_KILLS: "oom_kill",
}
PAGES = {
    Tag.SWAP_IN: "pswpin",
    Tag.SWAP_OUT: "pswpout",
    Tag.ASYNC_SCANS: "pgscan_kswapd",
    Tag.DIRECT_SCANS: "pgscan_direct",
    Tag.ASYNC_RECLAIMS: "pgsteal_kswapd",
    Tag.DIRECT_RECLAIMS: "pgsteal_direct",
}
STALLS = "allocstall_"  # one for each zone; their sum is sent
GAUGES = {
    Tag.FREE_MEMORY: "MemFree",
    Tag.TOTAL_MEMORY: "MemTotal",
    Tag.AVAILABLE_MEMORY: "MemAvailable",
}
UML_TAGS = set(Tag) & set(range(8))  # it is built without huge pages
RECLAIM_COUNTERS_SINCE = (6, 12)
QEMU_TAGS = UML_TAGS | {Tag.HUGETLB_ALLOCATIONS, Tag.HUGETLB_FAILURES}


class UmlSubject:
    """A guest that is looked at from both sides; `load` makes it work, `rest` ends that."""

    tags = UML_TAGS

    def __init__(self, guest: UmlGuest, connector: QmpConnector) -> None:
        self.guest = guest
        self.connector = connector

    async def load(self) -> None:
        await self.guest.play(workload.steps(16 * MIB, 96 * MIB, every=0.5))

    async def rest(self) -> None:
        await self.guest.command("end_worker", name="workload")


class QemuSubject:
    """The same, in QEMU."""

    def __init__(self, guest: QemuGuest, connector: QmpConnector) -> None:
        self.tags = set(Tag) if guest.version >= RECLAIM_COUNTERS_SINCE else QEMU_TAGS
        self.guest = guest
        self.connector = connector

    async def load(self) -> None:
        await self.guest.command("churn", 32)

    async def rest(self) -> None:
        await self.guest.command("rest")


Subject = UmlSubject | QemuSubject


@contextlib.asynccontextmanager
async def connected(sockets: Path) -> AsyncIterator[QmpConnector]:
    connector = QmpConnector([str(sockets)])
    await connector.start()
    try:
        yield connector
    finally:
        await connector.close()


def make_swap(path: Path, size: int) -> None:
    """Write what mkswap(8) would: the header of `linux/swap.h`, 1024 bytes into the first page."""
    header = bytearray(PAGE_SIZE)
    struct.pack_into("<III", header, 1024, 1, size // PAGE_SIZE - 1, 0)
    header[-10:] = b"SWAPSPACE2"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)


@contextlib.asynccontextmanager
async def uml_subject() -> AsyncIterator[Subject]:
    async with Laboratory(memory=SIZE) as laboratory:
        swap = laboratory.directory / "swap"
        make_swap(swap, 256 * MIB)
        guest = await laboratory.start_guest("uml", SIZE, arguments=[f"ubd0={swap}"])
        await guest.command("swap_on", path="/dev/ubda")
        async with connected(laboratory.directory / "*.sock") as connector:
            yield UmlSubject(guest, connector)


@contextlib.asynccontextmanager
async def qemu_subject() -> AsyncIterator[Subject]:
    directory = places.run_directory()
    sessions.own(directory)
    guest = QemuGuest("qemu", size=SIZE, directory=directory)
    try:
        await guest.start()
        # So that their counters are not zero: one that can be had, and more than there are.
        await guest.command("huge", 1)
        await guest.command("huge", 1000)
        await guest.command("huge", 0)
        async with connected(guest.control) as connector:
            yield QemuSubject(guest, connector)
    finally:
        await guest.stop()
        sessions.sweep(directory)


MAKERS = {"uml": uml_subject, "qemu": qemu_subject}


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[
        pytest.param("uml", marks=pytest.mark.uml),
        pytest.param("qemu", marks=pytest.mark.qemu),
    ],
)
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    async with MAKERS[request.param]() as subject:
        yield subject


async def read(subject: Subject) -> Reading:
    (guest,) = await subject.connector.guests()
    reading = (await subject.connector.sample([guest.key], 10.0))[guest.key]
    assert isinstance(reading, Reading), reading
    return reading


async def fresh(subject: Subject) -> Reading:
    """Return a sample made after the call: QEMU, asked again soon, may show what it had."""
    asked = time.monotonic()
    async with asyncio.timeout(20):
        while True:
            reading = await read(subject)
            if reading.sampled_at is not None and reading.sampled_at >= asked:
                return reading


async def inflate(subject: Subject, size: int) -> None:
    """Have a balloon of `size` bytes."""
    (guest,) = await subject.connector.guests()
    await subject.connector.set_target(guest.key, SIZE - size, 10.0)

    async def there() -> bool:
        return (await read(subject)).guest_size == SIZE - size

    await until(there, within=30)


async def enclosed(subject: Subject) -> tuple[Counters, Figures, Counters]:
    """Return the guest's own counters before and after a fresh sample, and the sample."""
    before = await subject.guest.counters()
    reading = await fresh(subject)
    after = await subject.guest.counters()
    assert reading.statistics.keys() >= subject.tags
    assert_counters_enclosed(before, reading.statistics, after)
    return before, reading.statistics, after


def assert_counters_enclosed(before: Counters, sent: Figures, after: Counters) -> None:
    least, most = own_counters(before), own_counters(after)
    for tag in least.keys() & sent.keys():
        assert least[tag] <= sent[tag] <= most[tag], Tag(tag).name


def own_counters(counters: Counters) -> dict[int, int]:
    """Return what the guest has counted, as it would send that."""
    vmstat = counters["vmstat"]
    stalls = sum(count for name, count in vmstat.items() if name.startswith(STALLS))
    own: dict[int, int] = {Tag.ALLOC_STALLS: stalls}
    own |= {tag: vmstat[name] for tag, name in COUNTS.items() if name in vmstat}
    return own | {tag: vmstat[name] * PAGE_SIZE for tag, name in PAGES.items()}


def gauges(counters: Counters) -> dict[int, int]:
    """Return what the guest's gauges are by its own word."""
    named: dict[int, int] = {tag: counters["meminfo"][name] for tag, name in GAUGES.items()}
    return {**named, Tag.DISK_CACHES: counters["vmstat"]["nr_file_pages"] * PAGE_SIZE}


@pytest.mark.parametrize("balloon", BALLOONS)
async def test_at_rest(subject: Subject, balloon: int) -> None:
    await inflate(subject, balloon)
    for _ in range(3):
        before, sent, after = await enclosed(subject)
        for tag, own in gauges(before).items():
            assert abs(sent[tag] - own) <= REST_TOLERANCE, Tag(tag).name
        for tag, own in gauges(after).items():
            assert abs(sent[tag] - own) <= REST_TOLERANCE, Tag(tag).name
        assert sent[Tag.TOTAL_MEMORY] == after["meminfo"]["MemTotal"]


@pytest.mark.parametrize("balloon", BALLOONS)
async def test_under_load(subject: Subject, balloon: int) -> None:
    await inflate(subject, balloon)
    _, first, _ = await enclosed(subject)
    # What has to move: the load itself, and with too little memory for it swapping, if it can.
    moving = {Tag.MINOR_FAULTS}
    if balloon and isinstance(subject, UmlSubject):
        moving |= {Tag.SWAP_IN, Tag.SWAP_OUT}
    await subject.load()
    try:
        async with asyncio.timeout(60):
            samples = 0
            latest = first
            while samples < 5 or any(latest[tag] <= first[tag] for tag in moving):
                _, latest, _ = await enclosed(subject)
                samples += 1
    finally:
        await subject.rest()


@pytest.mark.parametrize("balloon", BALLOONS)
async def test_a_balloon_is_seen_in_what_is_free(subject: Subject, balloon: int) -> None:
    await inflate(subject, 0)
    _, empty, _ = await enclosed(subject)
    await inflate(subject, balloon)
    _, full, _ = await enclosed(subject)
    assert abs(empty[Tag.FREE_MEMORY] - full[Tag.FREE_MEMORY] - balloon) <= FREE_TOLERANCE
