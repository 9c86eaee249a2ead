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

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.statistics import ENTRY_SIZE, encode
from aerostat.testing.conformance.bad_ground import BAD, RING_SIZE, SCRATCH, Case, Ground, pfns
from aerostat.virtio.chain import INDIRECT, NEXT, WRITE
from aerostat.virtio.ring import Buffer

_TOP = 1 << 64
_LONG = (1 << 32) - 1
_STOP, _DONE, _NO_ROUND = (struct.pack("<I", id_) for id_ in (0, 1, 77))


def _pages(
    name: str, numbers: Callable[[Ground], Iterable[int]], *, may_break: bool = False
) -> Case:
    """Return the case of a request for these pages, of which those that are memory are taken."""

    def memory_pages(ground: Ground) -> list[int]:
        spans = [(r.guest_address, r.guest_address + r.size) for r in ground.memory.regions]
        return [n for n in numbers(ground) if any(a <= n * PAGE_SIZE < b for a, b in spans)]

    def play(ground: Ground) -> None:
        ground.send(pfns(*numbers(ground)))

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


# Beyond every guest of less than 8 TiB: nothing is taken by these.
_FAR = pfns(0x8765_4321)

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
    _buffers("an array to write to", Queue.INFLATE, lambda _: [], lambda g: [g.put(pfns(g.page))]),
    _bytes("pages that were never inflated", Queue.DEFLATE, pfns(7, 8, 9)),
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


def _raw(*descriptors: tuple[int, int, int], head: int = BAD) -> Callable[[Ground], None]:
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
        ground.ring.write_descriptor(BAD, at(ground), length, flags, BAD + 1)
        ground.ring.write_descriptor(BAD + 1, ground.scratch + 64, 4)
        ground.ring.offer(BAD)

    return play


def _ring(
    name: str, play: Callable[[Ground], object], *, chains: int = 1, may_break: bool = True
) -> Case:
    # The payload is zeros wherever it is one: page 0.
    return Case(name, Queue.INFLATE, play, chains, lambda _: [0], may_break)


def _mix(ground: Ground) -> None:
    _table()(ground)
    ground.ring.write_descriptor(BAD - 1, ground.scratch + 128, 4, NEXT, BAD)
    ground.ring.offer(BAD - 1)


def _twice(ground: Ground) -> None:
    _raw((4, 0, 0))(ground)
    ground.ring.offer(BAD)


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
    _ring("next to itself", _raw((4, NEXT, BAD))),
    _ring("a loop of two", _raw((4, NEXT, BAD + 1), (4, NEXT, BAD))),
    _ring("to read after to write", _raw((4, WRITE | NEXT, BAD + 1), (4, 0, 0))),
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
