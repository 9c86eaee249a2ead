"""Address ranges: made of the page frame numbers in inflate and deflate buffers, merged, cut.

Pure. virtio 1.2, 5.5.6: the buffers are arrays of 32-bit page numbers of 4096-byte pages.

Linux allocates the pages of one request mostly in runs, and lists them mostly descending. Sorted
and merged, the 256 of a request are one range in a fresh guest and about 17 in a fragmented one,
and every range is a hole to punch.
"""

import struct
from collections.abc import Iterable, Iterator

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Byteorder

PFN_SIZE = 4

Range = tuple[int, int]  # address and length, in bytes

_PREFIX = {"little": "<", "big": ">"}


def merge_pfns(payload: bytes, byteorder: Byteorder = "little") -> list[Range]:
    """Return the ranges, in bytes, of the pages that `payload` lists.

    Ascending, without duplicates, adjoining ones merged; at most one for each 4 bytes. One to
    three bytes left over at the end are ignored.
    """
    count = len(payload) // PFN_SIZE
    if count == 0:
        return []
    pfns = sorted(set(struct.unpack_from(f"{_PREFIX[byteorder]}{count}I", payload)))
    first, last = pfns[0], pfns[-1]
    if last - first == len(pfns) - 1:  # the usual case: one run, nothing to look for
        return [(first * PAGE_SIZE, len(pfns) * PAGE_SIZE)]
    ranges = []
    expected = first
    for pfn in pfns:
        if pfn != expected:
            ranges.append((first * PAGE_SIZE, (expected - first) * PAGE_SIZE))
            first = pfn
        expected = pfn + 1
    ranges.append((first * PAGE_SIZE, (expected - first) * PAGE_SIZE))
    return ranges


def merge_ranges(ranges: Iterable[Range]) -> list[Range]:
    """Return the ranges ascending, with those merged that overlap or adjoin."""
    merged: list[Range] = []
    start = end = 0
    for address, length in sorted(ranges):
        if merged and address <= end:
            end = max(end, address + length)
            merged[-1] = (start, end - start)
        else:
            start, end = address, address + length
            merged.append((address, length))
    return merged


def cut_ranges(ranges: Iterable[Range], size: int) -> Iterator[list[Range]]:
    """Yield the ranges in groups of at most `size` bytes, cut where they must be."""
    group: list[Range] = []
    room = size
    for start, length in ranges:
        address, rest = start, length
        while rest:
            part = min(rest, room)
            group.append((address, part))
            address, rest, room = address + part, rest - part, room - part
            if not room:
                yield group
                group, room = [], size
    if group:
        yield group
