"""Page frame numbers, as they come in inflate and deflate buffers, to address ranges.

Pure. virtio 1.2, 5.5.6: the buffers are arrays of 32-bit page numbers of 4096-byte pages.

Linux allocates the pages of one request mostly in runs, and lists them mostly descending. Sorted
and merged, the 256 of a request are one range in a fresh guest and about 17 in a fragmented one,
and every range is one system call.
"""

import struct

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Byteorder

PFN_SIZE = 4

_PREFIX = {"little": "<", "big": ">"}


def merge_pfns(payload: bytes, byteorder: Byteorder = "little") -> list[tuple[int, int]]:
    """Return the ranges (address, length), in bytes, of the pages that `payload` lists.

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
