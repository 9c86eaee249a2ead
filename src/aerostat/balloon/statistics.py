"""Memory statistics: tags, names, and the statistics buffer (virtio 1.2, 5.5.6.3 and 5.5.6.4).

Pure. Values are as Linux means them: amounts in bytes, the rest counts, all of them counters
since boot except `free_memory`, `total_memory`, `available_memory` and `disk_caches`.

A buffer is a sequence of packed entries, a 16-bit tag and a 64-bit value, ten bytes each. (The
specification says that its size is a multiple of 6: a leftover of a change from 32-bit values.)
"""

from collections.abc import Mapping
from enum import IntEnum
from struct import Struct, error

from aerostat.errors import UsageError
from aerostat.virtio import memory

ENTRY_SIZE = 10

# Bounds the work that one buffer can make. Sixteen tags exist; a driver with more is not wrong.
MAX_ENTRIES = 256

Byteorder = memory.Byteorder

_ENTRIES = {"little": Struct("<HQ"), "big": Struct(">HQ")}


class Tag(IntEnum):
    """What a value is. The specification defines 0 to 9, Linux 6.12 added the rest."""

    SWAP_IN = 0
    SWAP_OUT = 1
    MAJOR_FAULTS = 2
    MINOR_FAULTS = 3
    FREE_MEMORY = 4
    TOTAL_MEMORY = 5
    AVAILABLE_MEMORY = 6
    DISK_CACHES = 7
    HUGETLB_ALLOCATIONS = 8
    HUGETLB_FAILURES = 9
    OOM_KILLS = 10
    ALLOC_STALLS = 11
    ASYNC_SCANS = 12
    DIRECT_SCANS = 13
    ASYNC_RECLAIMS = 14
    DIRECT_RECLAIMS = 15


#: The names that aerostat shows.
NAMES = {tag: tag.name.lower() for tag in Tag}

#: The names in QEMU's ``guest-stats``. Its ``stat-minor-faults`` are all faults, as Linux counts.
QEMU_KEYS = {tag: "stat-" + name.replace("_", "-") for tag, name in NAMES.items()} | {
    Tag.HUGETLB_ALLOCATIONS: "stat-htlb-pgalloc",
    Tag.HUGETLB_FAILURES: "stat-htlb-pgfail",
}


def parse(payload: bytes, byteorder: Byteorder = "little") -> dict[int, int]:
    """Return the value of each tag in a statistics buffer.

    Unknown tags are kept, of duplicates the last counts, an incomplete entry at the end is left
    out. Nothing beyond `MAX_ENTRIES` is looked at. Never raises, whatever the bytes.
    """
    whole = min(len(payload) // ENTRY_SIZE, MAX_ENTRIES) * ENTRY_SIZE
    return dict(_ENTRIES[byteorder].iter_unpack(payload[:whole]))


def encode(statistics: Mapping[int, int], byteorder: Byteorder = "little") -> bytes:
    """Return the statistics buffer for these tags and values. Raises `UsageError`."""
    pack = _ENTRIES[byteorder].pack
    try:
        return b"".join(pack(tag, value) for tag, value in statistics.items())
    except error as problem:
        raise UsageError(f"tags have 16 bits, values 64, both unsigned: {problem}") from problem
