"""The guest's memory statistics, from /proc (virtio 1.2, 5.5.6.3 and 5.5.6.4).

May read /proc/vmstat and /proc/meminfo. The figures are the ones that Linux's own driver sends,
by the same counters, in its order; what the kernel does not have is left out. Standard library
only, Python 3.9.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from aerostat.balloon.statistics import Tag
from aerostat.errors import MissingError

_KIB = 1024
_READ_SIZE = 1 << 16

#: Tags that are counts, and the counter in /proc/vmstat. Linux's "minor" faults are all faults.
_COUNTS = {
    Tag.MAJOR_FAULTS: "pgmajfault",
    Tag.MINOR_FAULTS: "pgfault",
    Tag.OOM_KILLS: "oom_kill",
    Tag.HUGETLB_ALLOCATIONS: "htlb_buddy_alloc_success",
    Tag.HUGETLB_FAILURES: "htlb_buddy_alloc_fail",
}

#: Tags that are bytes, and the counter of pages in /proc/vmstat.
_PAGES = {
    Tag.SWAP_IN: "pswpin",
    Tag.SWAP_OUT: "pswpout",
    Tag.ASYNC_SCANS: "pgscan_kswapd",
    Tag.DIRECT_SCANS: "pgscan_direct",
    Tag.ASYNC_RECLAIMS: "pgsteal_kswapd",
    Tag.DIRECT_RECLAIMS: "pgsteal_direct",
    Tag.DISK_CACHES: "nr_file_pages",
}

#: Tags that are bytes, and the line of /proc/meminfo.
_SIZES = {
    Tag.FREE_MEMORY: "MemFree",
    Tag.TOTAL_MEMORY: "MemTotal",
    Tag.AVAILABLE_MEMORY: "MemAvailable",
}

#: The page cache, where /proc/vmstat does not count it.
_CACHES = ("Buffers", "Cached", "SwapCached")

#: One counter for each of the memory zones that the kernel has.
_STALLS = "allocstall"

#: The order on the wire, which is Linux's, so that a trace of one looks like a trace of the other.
WIRE_ORDER = (
    Tag.SWAP_IN,
    Tag.SWAP_OUT,
    Tag.MAJOR_FAULTS,
    Tag.MINOR_FAULTS,
    Tag.OOM_KILLS,
    Tag.ALLOC_STALLS,
    Tag.ASYNC_SCANS,
    Tag.DIRECT_SCANS,
    Tag.ASYNC_RECLAIMS,
    Tag.DIRECT_RECLAIMS,
    Tag.HUGETLB_ALLOCATIONS,
    Tag.HUGETLB_FAILURES,
    Tag.FREE_MEMORY,
    Tag.TOTAL_MEMORY,
    Tag.AVAILABLE_MEMORY,
    Tag.DISK_CACHES,
)


def parse_vmstat(text: str) -> dict[str, int]:
    """Return the counters of /proc/vmstat by name, in the units that they have there."""
    counters = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if value.strip().isdecimal():
            counters[name] = int(value)
    return counters


def parse_meminfo(text: str) -> dict[str, int]:
    """Return the lines of /proc/meminfo by name, in bytes; those without a unit as they are."""
    sizes = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal():
            sizes[name] = int(words[0]) * (_KIB if words[1:] == ["kB"] else 1)
    return sizes


def collect(
    vmstat: Mapping[str, int],
    meminfo: Mapping[str, int],
    *,
    page_size: int,
    balloon_size: int = 0,
    deflate_on_oom: bool = True,
) -> dict[int, int]:
    """Return the statistics by tag, in wire order: those for which there are figures.

    `vmstat` and `meminfo` are as parsed above, `page_size` is the guest's own. Without
    `deflate_on_oom` the kernel's driver takes what is inflated, `balloon_size` bytes, off the
    guest's total memory. From user space that cannot be done, so it is done in the report.
    """
    found = {tag: vmstat[name] for tag, name in _COUNTS.items() if name in vmstat}
    found |= {tag: vmstat[name] * page_size for tag, name in _PAGES.items() if name in vmstat}
    found |= {tag: meminfo[name] for tag, name in _SIZES.items() if name in meminfo}
    stalls = [value for name, value in vmstat.items() if name.startswith(_STALLS)]
    if stalls:
        found[Tag.ALLOC_STALLS] = sum(stalls)
    if Tag.DISK_CACHES not in found and all(name in meminfo for name in _CACHES):
        found[Tag.DISK_CACHES] = sum(meminfo[name] for name in _CACHES)
    if Tag.TOTAL_MEMORY in found and not deflate_on_oom:
        found[Tag.TOTAL_MEMORY] = max(0, found[Tag.TOTAL_MEMORY] - balloon_size)
    return {int(tag): found[tag] for tag in WIRE_ORDER if tag in found}


class ProcFiles:
    """The two files, kept open: a guest that is short of memory may not be able to open any.

    `directory` is where they are. Raises `MissingError` if they are not there.
    """

    def __init__(self, directory: str = "/proc") -> None:
        self._vmstat = _open(f"{directory}/vmstat")
        self._meminfo = _open(f"{directory}/meminfo")
        self._tags: list[int] = []

    def meminfo(self) -> dict[str, int]:
        """Return /proc/meminfo as it is now, in bytes."""
        return parse_meminfo(_read(self._meminfo))

    def collect(
        self, *, page_size: int, balloon_size: int = 0, deflate_on_oom: bool = True
    ) -> dict[int, int]:
        """Return the statistics of now.

        They have the tags of the first time at any later one (virtio 1.2, 5.5.6.3.1): a counter
        that has gone is reported as 0, one that has come is left out.
        """
        found = collect(
            parse_vmstat(_read(self._vmstat)),
            self.meminfo(),
            page_size=page_size,
            balloon_size=balloon_size,
            deflate_on_oom=deflate_on_oom,
        )
        self._tags = self._tags or list(found)
        return {tag: found.get(tag, 0) for tag in self._tags}

    def close(self) -> None:
        """Close both files."""
        os.close(self._vmstat)
        os.close(self._meminfo)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise MissingError(f"no statistics without {path}: {error.strerror}") from error


def _read(descriptor: int) -> str:
    # The kernel gives a page or so at a time, however large the buffer, and makes the file anew
    # for a read from its start.
    text = b""
    while part := os.pread(descriptor, _READ_SIZE, len(text)):
        text += part
    return text.decode("ascii", "replace")
