"""What checking costs: our readers of what guests send, against `struct` and NumPy bare.

A statistics buffer of sixteen figures, into a dictionary by tag; of the rivals, `struct` and NumPy
do the same with a buffer that they take to be whole. And a request's 256 page numbers, into the
list of the pieces of guest memory that they name: in order, without duplicates, adjoining ones
merged, what is not memory left out. NumPy does that with an array that it takes to be whole, and a
memory that it takes to be one region.
"""

import mmap
import time
from collections.abc import Callable, Iterator
from functools import partial
from struct import Struct

import numpy as np
from bench.devices import requests_of
from bench.harness import Figure, Goal, Measure, in_turns, judge, main

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.pages import merge_pfns
from aerostat.balloon.statistics import encode, parse
from aerostat.units import MIB
from aerostat.virtio.memory import GuestMemory, Piece, Region

_SIZE = 256 * MIB
_ENTRY = Struct("<HQ")
_ENTRIES = np.dtype([("tag", "<u2"), ("value", "<u8")])

# Pages of one run.
_ARRAYS = {"one run": _SIZE, "runs of 16": 16, "scattered": 1}

_GOAL = Goal("ratio", "<=", 3.0)


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure microseconds a buffer."""
    loops, repeats = (200, 1) if quick else (2000, 15)

    def compare(name: str, rival_name: str, ours: Action, rival: Action) -> Figure:
        pairs = in_turns(_timed(ours, loops), _timed(rival, loops), repeats=repeats)
        return judge(name, "us", rival_name, pairs, _GOAL)

    buffer = encode({tag: (tag + 1) << 30 for tag in range(16)})
    read = partial(parse, buffer)
    yield compare("reading 16 statistics", "struct", read, partial(_struct_statistics, buffer))
    yield compare("reading 16 statistics", "NumPy", read, partial(_numpy_statistics, buffer))
    memory = GuestMemory([Region(0, _SIZE, 0, memoryview(mmap.mmap(-1, _SIZE)))])
    for array, run_pages in _ARRAYS.items():
        request = requests_of(_SIZE, run_pages)[7]  # one of many
        name = f"checking 256 page numbers, {array}"
        check = partial(_pieces, memory, request)
        yield compare(name, "NumPy", check, partial(_numpy_pieces, _SIZE, request))


Action = Callable[[], object]


def _timed(action: Action, loops: int) -> Measure:
    def measure() -> float:
        began = time.process_time()
        for _ in range(loops):
            action()
        return (time.process_time() - began) * 1e6 / loops

    return measure


def _struct_statistics(buffer: bytes) -> dict[int, int]:
    return dict(_ENTRY.iter_unpack(buffer))


def _numpy_statistics(buffer: bytes) -> dict[int, int]:
    entries = np.frombuffer(buffer, _ENTRIES)
    return dict(zip(entries["tag"].tolist(), entries["value"].tolist(), strict=True))


def _pieces(memory: GuestMemory, request: bytes) -> list[Piece]:
    pieces, _ = memory.clip(merge_pfns(request))
    return pieces


def _numpy_pieces(size: int, request: bytes) -> list[tuple[int, int]]:
    """Return the start and the length of each piece, in bytes."""
    pfns = np.unique(np.frombuffer(request, "<u4")).astype(np.int64)
    pfns = pfns[pfns < size // PAGE_SIZE]
    breaks = np.flatnonzero(np.diff(pfns) != 1) + 1
    starts = pfns[np.concatenate(([0], breaks))]
    lengths = np.diff(np.concatenate(([0], breaks, [pfns.size])))
    return list(zip((starts * PAGE_SIZE).tolist(), (lengths * PAGE_SIZE).tolist(), strict=True))


if __name__ == "__main__":
    main(run)
