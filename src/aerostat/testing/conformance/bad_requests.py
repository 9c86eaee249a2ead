"""What no guest should put on a balloon's queues: requests by name, and what must come of each.

Data for tests of any device, behind any transport: virtio 1.2, 5.5.6 (payloads, statistics,
reports, hints) and 2.7 (rings). A case is played on a ring that runs. Then, whatever the case was,
every chain that makes sense as a chain comes back once, with nothing written to it; no page is
taken but `Case.taken`; and a good request is served, at once or (where a ring `may_break`) after
the ring was started afresh.

::

    for case in CASES:
        ground = Ground(ring, memory, scratch)
        before = used_index(ring)
        case.play(ground)
        ...                        # let the device work
        assert len(returned(ring, before)) == case.chains or case.may_break
        play_good(ground, case.queue)
"""

import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.statistics import ENTRY_SIZE, encode
from aerostat.testing.mocks.driver import DriverRing, Used
from aerostat.virtio.chain import INDIRECT, NEXT, WRITE
from aerostat.virtio.memory import GuestMemory
from aerostat.virtio.ring import Buffer

#: A ring for these cases has at least so many descriptors.
RING_SIZE = 64
#: The bytes that a case may use from `Ground.scratch` on: whole pages, in one region.
SCRATCH = 1 << 20

_TOP = 1 << 64
_LONG = (1 << 32) - 1


class Ground(NamedTuple):
    """Where a case is played: a ring that runs, and memory at `scratch` that nobody uses.

    The guest has memory at address 0, and a hole after its first region.
    """

    ring: DriverRing
    memory: GuestMemory
    scratch: int

    @property
    def hole(self) -> int:
        """The first address after the first region."""
        first = self.memory.regions[0]
        return first.guest_address + first.size

    @property
    def end(self) -> int:
        """The first address after the last region."""
        last = self.memory.regions[-1]
        return last.guest_address + last.size

    @property
    def page(self) -> int:
        """The number of a page that nobody uses."""
        return (self.scratch + SCRATCH) // PAGE_SIZE - 1

    def put(self, payload: bytes, at: int = 0) -> Buffer:
        """Write a payload into the scratch memory; return where it is."""
        self.memory.write(self.scratch + at, payload)
        return self.scratch + at, len(payload)

    def send(self, payload: bytes, cuts: Iterable[int] = ()) -> None:
        """Make a payload available in descriptors of these lengths and one for the rest."""
        address, rest = self.put(payload)
        buffers = []
        for length in cuts:
            buffers.append((address, length))
            address, rest = address + length, rest - length
        self.ring.add([*buffers, (address, rest)])


class Case(NamedTuple):
    """A bad request, or a good one that is rare.

    `chains` is how many come back, `taken` the numbers of the pages that the device may take.
    Where a ring `may_break`, a device may instead leave it alone until it is started afresh.
    """

    name: str
    queue: Queue
    play: Callable[[Ground], object]
    chains: int = 1
    taken: Callable[[Ground], Iterable[int]] = lambda _: ()
    may_break: bool = False


def used_index(ring: DriverRing) -> int:
    """Return the used index, to give to `returned`."""
    return ring.used_words.acquire(1)


def returned(ring: DriverRing, since: int) -> list[Used]:
    """Return what the device has given back since an index, known or not."""
    found = []
    for index in range(since, since + (used_index(ring) - since & 0xFFFF)):
        element = ring.memory.read(ring.used + 4 + index % ring.size * 8, 8)
        found.append(Used(*struct.unpack("<II", element)))
    return found


#: What `play_good` sends as statistics.
GOOD_STATISTICS = {4: 77}

_STOP, _DONE, _NO_ROUND = (struct.pack("<I", id_) for id_ in (0, 1, 77))
_GOOD_PAYLOADS = {Queue.STATS: encode(GOOD_STATISTICS), Queue.HINT: _STOP}

# The descriptors of good requests, and of bad ones that are no chain: those that `add` takes last.
_GOOD, _BAD = 5, 32


def play_good(ground: Ground, queue: Queue) -> None:
    """Send a good request, whatever was played before: of `Ground.page`, or of no page.

    No case leaves its descriptor with the device.
    """
    if queue is Queue.REPORTING:
        address, length, flags = ground.page * PAGE_SIZE, PAGE_SIZE, WRITE
    else:
        payload = _GOOD_PAYLOADS.get(queue) or _pfns(ground.page)
        (address, length), flags = ground.put(payload), 0
    ground.ring.write_descriptor(_GOOD, address, length, flags)
    ground.ring.offer(_GOOD)


def _pfns(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def _pages(
    name: str, numbers: Callable[[Ground], Iterable[int]], *, may_break: bool = False
) -> Case:
    """Return the case of a request for these pages, of which those that are memory are taken."""

    def memory_pages(ground: Ground) -> list[int]:
        spans = [(r.guest_address, r.guest_address + r.size) for r in ground.memory.regions]
        return [n for n in numbers(ground) if any(a <= n * PAGE_SIZE < b for a, b in spans)]

    def play(ground: Ground) -> None:
        ground.send(_pfns(*numbers(ground)))

    return Case(name, Queue.INFLATE, play, 1, memory_pages, may_break)


def _bytes(name: str, queue: Queue, payload: bytes, cuts: Iterable[int] = ()) -> Case:
    return Case(name, queue, lambda ground: ground.send(payload, cuts))


def _buffers(
    name: str,
    queue: Queue,
    readable: Callable[[Ground], Iterable[Buffer]],
    writable: Callable[[Ground], Iterable[Buffer]] = lambda _: (),
) -> Case:
    return Case(name, queue, lambda g: g.ring.add(readable(g), writable(g)))


# Page 5 000 000 lies beyond every small guest: nothing is taken by these.
_FAR = _pfns(5_000_000)

PAYLOADS = (
    _pages("page 0", lambda _: [0]),
    _pages("the last page of memory", lambda g: [g.end // PAGE_SIZE - 1]),
    _pages("the first page beyond memory", lambda g: [g.end // PAGE_SIZE]),
    _pages("a page of the hole", lambda g: [g.hole // PAGE_SIZE]),
    _pages("the last page that has a number", lambda _: [0xFFFFFFFF]),
    _pages("the ring's own page", lambda g: [g.ring.desc // PAGE_SIZE], may_break=True),
    _pages("the array's own page", lambda g: [g.scratch // PAGE_SIZE]),
    _pages("one page many times", lambda g: [g.page] * 256),
    _pages("descending pages", lambda g: range(g.page, g.page - 100, -1)),
    *(
        _pages(f"{count} pages", lambda g, n=count: [g.page - i % 8 for i in range(n)])  # type: ignore[misc]
        for count in (1, 255, 256, 257, 2048, 65536)
    ),
    *(_bytes(f"{n} bytes", Queue.INFLATE, (_FAR * 2)[:n]) for n in (0, 1, 2, 3, 5, 6, 7)),
    _bytes("a byte in each descriptor", Queue.INFLATE, _FAR * 4, [1] * 15),
    _bytes("empty descriptors", Queue.INFLATE, _FAR, [0, 0, 2, 0]),
    Case(
        "an array at an odd address",
        Queue.INFLATE,
        lambda g: g.ring.add([g.put(_FAR, at=3)]),
    ),
    _buffers("one array four times", Queue.INFLATE, lambda g: [g.put(_FAR)] * 4),
    _buffers("an array that wraps around", Queue.INFLATE, lambda _: [(_TOP - 4, 8)]),
    _buffers("an array beyond memory", Queue.INFLATE, lambda g: [(g.end, 4)]),
    _buffers("an array half in memory", Queue.INFLATE, lambda g: [(g.hole - 4, 8)]),
    # Zeros, as far as it is memory: page 0.
    _buffers("an array of 4 GiB", Queue.INFLATE, lambda g: [(g.scratch, _LONG)])._replace(
        taken=lambda _: [0]
    ),
    _buffers("an array to write to", Queue.INFLATE, lambda _: [], lambda g: [g.put(_pfns(g.page))]),
    _bytes("pages that were never inflated", Queue.DEFLATE, _pfns(7, 8, 9)),
    _bytes("a deflation of no memory", Queue.DEFLATE, _FAR * 3),
    _bytes("a deflation of 3 bytes", Queue.DEFLATE, _FAR[:3]),
)


def _several(ground: Ground, count: int) -> None:
    for number in range(count):
        ground.ring.add([ground.put(encode({4: number}), at=number * ENTRY_SIZE)])


_TAGS = {16: 1, 0x7FFF: 2, 0xFFFE: 3, 0xFFFF: 4}
_VALUES = {0: 0, 1: 1 << 63, 2: (1 << 64) - 1}

# The device keeps the last buffer that is sent: so many less one come back.
STATISTICS = (
    *(
        _bytes(f"{size} bytes of statistics", Queue.STATS, bytes(size))._replace(chains=0)
        for size in (0, 1, 9, 10, 11, 19, 20, 2560, 2570, 65536)
    ),
    _bytes("unknown tags", Queue.STATS, encode(_TAGS))._replace(chains=0),
    _bytes("extreme values", Queue.STATS, encode(_VALUES))._replace(chains=0),
    _bytes("one tag twice", Queue.STATS, encode({4: 1}) + encode({4: 2}))._replace(chains=0),
    *(
        _bytes(f"an entry cut after byte {n}", Queue.STATS, encode({4: 1}), [n])._replace(chains=0)
        for n in range(1, ENTRY_SIZE)
    ),
    _buffers("statistics of 4 GiB", Queue.STATS, lambda g: [(g.scratch, _LONG)])._replace(chains=0),
    _buffers("statistics beyond memory", Queue.STATS, lambda g: [(g.end, 10)])._replace(chains=0),
    _buffers(
        "statistics to write to", Queue.STATS, lambda _: [], lambda g: [g.put(bytes(10))]
    )._replace(chains=0),
    _buffers(
        "statistics and room to write",
        Queue.STATS,
        lambda g: [g.put(bytes(10))],
        lambda g: [g.put(bytes(10), at=64)],
    )._replace(chains=0),
    *(
        Case(f"{n} buffers of statistics", Queue.STATS, lambda g, n=n: _several(g, n), chains=n - 1)  # type: ignore[misc]
        for n in (2, 3, RING_SIZE)
    ),
)


def _report(name: str, ranges: Callable[[Ground], Iterable[Buffer]]) -> Case:
    """Return the case of a report, of which every whole page that is memory may be taken."""

    def whole_pages(ground: Ground) -> list[int]:
        return [
            number
            for start, length in ranges(ground)
            for region in ground.memory.regions
            for number in range(
                -(-max(start, region.guest_address) // PAGE_SIZE),
                min(start + length, region.guest_address + region.size) // PAGE_SIZE,
            )
        ]

    return Case(name, Queue.REPORTING, lambda g: g.ring.add([], ranges(g)), taken=whole_pages)


REPORTS = (
    _buffers("a report to read", Queue.REPORTING, lambda g: [(g.scratch, SCRATCH)]),
    _report("a report of nothing", lambda g: [(g.scratch, 0)]),
    _report("a report of a byte", lambda g: [(g.scratch, 1)]),
    _report("a report that begins in a page", lambda g: [(g.scratch + 1, 3 * PAGE_SIZE)]),
    _report("a report that ends in a page", lambda g: [(g.scratch, 3 * PAGE_SIZE - 1)]),
    _report("a report across a region's end", lambda g: [(g.hole - PAGE_SIZE, 2 * PAGE_SIZE)]),
    _report("a report beyond memory", lambda g: [(g.end, PAGE_SIZE)]),
    _report("a report that wraps around", lambda _: [(_TOP - PAGE_SIZE, 2 * PAGE_SIZE)]),
    _report("a report of the hole", lambda g: [(g.hole, PAGE_SIZE)]),
    _report(
        "a report of many pieces",
        lambda g: [(g.scratch + n * 2 * PAGE_SIZE, PAGE_SIZE) for n in range(RING_SIZE)],
    ),
    _report("a report of one piece often", lambda g: [(g.scratch, PAGE_SIZE)] * RING_SIZE),
)


def _twice_over(name: str, payload: bytes) -> Case:
    def play(ground: Ground) -> None:
        ground.send(payload)
        ground.send(payload)

    return Case(name, Queue.HINT, play, chains=2)


def _hint(name: str, buffer: Callable[[Ground], Buffer]) -> Case:
    return _buffers(name, Queue.HINT, lambda _: [], lambda g: [buffer(g)])


# No round is under way, so that no page may be taken by any of these.
HINTS = (
    *(
        _bytes(f"a command id of {size} bytes", Queue.HINT, bytes(size))
        for size in (0, 1, 3, 5, 8, 4096)
    ),
    _bytes("a command id of no round", Queue.HINT, _NO_ROUND),
    _bytes("a command id in pieces", Queue.HINT, _NO_ROUND, [1, 1, 1]),
    _bytes("DONE from a driver", Queue.HINT, _DONE),
    _twice_over("a command id twice", _NO_ROUND),
    _twice_over("STOP twice", _STOP),
    _buffers("a command id beyond memory", Queue.HINT, lambda g: [(g.end, 4)]),
    _buffers("a command id of 4 GiB", Queue.HINT, lambda g: [(g.scratch, _LONG)]),
    _buffers(
        "a command id and a hint",
        Queue.HINT,
        lambda g: [g.put(_NO_ROUND)],
        lambda g: [(g.scratch + PAGE_SIZE, PAGE_SIZE)],
    ),
    _hint("a hint in no round", lambda g: (g.scratch, SCRATCH)),
    _hint("a hint of nothing", lambda g: (g.scratch, 0)),
    _hint("a hint of a byte", lambda g: (g.scratch + 1, 1)),
    _hint("a hint of 4 GiB", lambda g: (g.scratch, _LONG)),
    _hint("a hint of the hole", lambda g: (g.hole, PAGE_SIZE)),
    _hint("a hint across a region's end", lambda g: (g.hole - PAGE_SIZE, 2 * PAGE_SIZE)),
    _hint("a hint that wraps around", lambda _: (_TOP - PAGE_SIZE, 2 * PAGE_SIZE)),
    _hint("a hint of the ring", lambda g: (g.ring.desc, PAGE_SIZE)),
)


def _raw(*descriptors: tuple[int, int, int], head: int = _BAD) -> Callable[[Ground], None]:
    """Return what offers a chain at `head`: (length, flags, next) of it and those after it."""

    def play(ground: Ground) -> None:
        for number, (length, flags, following) in enumerate(descriptors):
            place = ground.scratch + number * PAGE_SIZE
            ground.ring.write_descriptor(head + number, place, length, flags, following)
        ground.ring.offer(head)

    return play


def _table(
    flags: int = INDIRECT,
    length: int = 16,
    entry: tuple[int, int, int] = (4, 0, 0),
    at: Callable[[Ground], int] = lambda g: g.scratch,
) -> Callable[[Ground], None]:
    """Return what offers a descriptor of an indirect table, which has one (length, flags, next)."""

    def play(ground: Ground) -> None:
        ground.put(struct.pack("<QIHH", ground.scratch + 64, *entry))
        ground.ring.write_descriptor(_BAD, at(ground), length, flags, _BAD + 1)
        ground.ring.write_descriptor(_BAD + 1, ground.scratch + 64, 4)
        ground.ring.offer(_BAD)

    return play


def _ring(
    name: str, play: Callable[[Ground], object], *, chains: int = 1, may_break: bool = True
) -> Case:
    # The payload is zeros wherever it is one: page 0.
    return Case(name, Queue.INFLATE, play, chains, lambda _: [0], may_break)


def _mix(ground: Ground) -> None:
    _table()(ground)
    ground.ring.write_descriptor(_BAD - 1, ground.scratch + 128, 4, NEXT, _BAD)
    ground.ring.offer(_BAD - 1)


def _twice(ground: Ground) -> None:
    _raw((4, 0, 0))(ground)
    ground.ring.offer(_BAD)


def _flags(ground: Ground, flags: int) -> None:
    ground.ring.avail_words.store(0, flags)
    ground.send(_FAR)


RINGS = (
    _ring("avail one too far", lambda g: g.ring.jump(g.ring.size + 1), chains=0),
    _ring("avail half around", lambda g: g.ring.jump(32768), chains=0),
    _ring("avail backwards", lambda g: g.ring.jump(-1), chains=0),
    _ring("a head beyond the table", lambda g: g.ring.offer(g.ring.size), chains=0),
    _ring("the largest head", lambda g: g.ring.offer(0xFFFF), chains=0),
    _ring("next beyond the table", _raw((4, NEXT, RING_SIZE * 1024 - 1))),
    _ring("next to itself", _raw((4, NEXT, _BAD))),
    _ring("a loop of two", _raw((4, NEXT, _BAD + 1), (4, NEXT, _BAD))),
    _ring("to read after to write", _raw((4, WRITE | NEXT, _BAD + 1), (4, 0, 0))),
    _ring("an empty descriptor", _raw((0, 0, 0))),
    _ring("reserved flags", _raw((4, 0xFFF8, 0)), may_break=False),
    _ring("next that is not to be followed", _raw((4, 0, 0xFFFF)), may_break=False),
    _ring(
        "a chain of the whole ring",
        lambda g: g.ring.add([(g.scratch, 4)] * g.ring.size),
        may_break=False,
    ),
    _ring("an indirect table to write to", _table(INDIRECT | WRITE), may_break=False),
    _ring("an indirect table that goes on", _table(INDIRECT | NEXT)),
    _ring("an indirect table in another", _table(entry=(16, INDIRECT, 0))),
    _ring("next beyond an indirect table", _table(entry=(4, NEXT, 1))),
    _ring("next to itself in an indirect table", _table(entry=(4, NEXT, 0))),
    *(
        _ring(f"an indirect table of {length} bytes", _table(length=length))
        for length in (0, 15, 17, (1 << 32) - 16)
    ),
    _ring("an indirect table beyond memory", _table(at=lambda g: g.end)),
    _ring("a descriptor before an indirect table", _mix, chains=2, may_break=False),
    _ring("avail flags of 2", lambda g: _flags(g, 2), may_break=False),
    _ring("all avail flags", lambda g: _flags(g, 0xFFFF), may_break=False),
    _ring("one head twice", _twice, chains=2),
)

CASES = (*PAYLOADS, *STATISTICS, *REPORTS, *HINTS, *RINGS)
