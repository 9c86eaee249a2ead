"""What the drivers of different guests say of the same memory: subsets, other meanings, lies. Pure.

A dialect turns the statistics that Linux would send (`aerostat.model.statistics`) into what another
driver sends. What it does not send is NaN.
"""

from enum import Enum

import numpy as np
import numpy.typing as npt

from aerostat.balloon.statistics import Tag

Statistics = npt.NDArray[np.float64]

_SIX = tuple(Tag)[:6]
_TEN = tuple(Tag)[:10]


class Dialect(Enum):
    """Whose driver it is. The values are what `--dialect` takes."""

    LINUX = "16"
    """Linux since 6.12: all sixteen."""
    OLDER_LINUX = "10"
    """Linux from 4.19: no OOM kills, stalls, scans and reclaims."""
    OLD_LINUX = "6"
    """Linux before 3.19: what is free, but not what is available or cached."""
    WINDOWS = "windows"
    """virtio-win with its service: `free_memory` is what may be had at once, standby files too;
    swap and faults are those of pages from any file; nothing of OOM kills, stalls and reclaim."""
    FREEBSD = "freebsd"
    """FreeBSD: free and total memory, and faults; free memory without what is laundered."""
    SILENT = "silent"
    """No statistics at all: FreeBSD until 2026, Windows without its service."""
    LIAR = "liar"
    """One that wants more than it needs: it says that nothing is available and that it faults all
    the time, in all of the sixteen."""


#: Which tags a driver sends.
TAGS: dict[Dialect, tuple[Tag, ...]] = {
    Dialect.LINUX: tuple(Tag),
    Dialect.OLDER_LINUX: _TEN,
    Dialect.OLD_LINUX: _SIX,
    Dialect.WINDOWS: _TEN,
    Dialect.FREEBSD: (Tag.MAJOR_FAULTS, Tag.MINOR_FAULTS, Tag.FREE_MEMORY, Tag.TOTAL_MEMORY),
    Dialect.SILENT: (),
    Dialect.LIAR: tuple(Tag),
}

# How much a liar says that happens to it, a second: more than any honest guest can suffer.
_LIES = {
    Tag.MAJOR_FAULTS: 10_000.0,
    Tag.ALLOC_STALLS: 1_000.0,
    Tag.DIRECT_SCANS: 2.0**30,
    Tag.DIRECT_RECLAIMS: 2.0**28,
    Tag.SWAP_OUT: 2.0**28,
}


def tell(table: Statistics, dialect: Dialect, now: float = 0.0) -> Statistics:
    """Return what guests of this dialect send at `now`, shape (guests, 16); NaN is not sent.

    `table` is what they would send in full, and is not changed. `now` is seconds since they
    started: what a liar counts, it counts in proportion.
    """
    told = np.full_like(table, np.nan)
    tags = list(TAGS[dialect])
    told[:, tags] = table[:, tags]
    if dialect is Dialect.WINDOWS:
        # As its service reckons: AvailPhys, and half of the system's cache on top.
        told[:, Tag.FREE_MEMORY] = table[:, Tag.FREE_MEMORY] + table[:, Tag.DISK_CACHES]
        told[:, Tag.AVAILABLE_MEMORY] = told[:, Tag.FREE_MEMORY]
        told[:, Tag.AVAILABLE_MEMORY] += table[:, Tag.DISK_CACHES] / 2
        np.minimum(
            told[:, Tag.AVAILABLE_MEMORY],
            table[:, Tag.TOTAL_MEMORY],
            out=told[:, Tag.AVAILABLE_MEMORY],
        )
    elif dialect is Dialect.LIAR:
        told[:, [Tag.FREE_MEMORY, Tag.AVAILABLE_MEMORY, Tag.DISK_CACHES]] = 0.0
        for tag, rate in _LIES.items():
            told[:, tag] += rate * now
    return told
