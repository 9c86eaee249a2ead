"""The memory of guests, as columns: where every byte is, and what has been counted.

Pure. A column is a float64 array with one element a guest; amounts are bytes and always whole
pages, so that their sums are exact. Every byte of a guest is in exactly one of the columns of
`PLACES`: that they add up to `size` is what `State.lost` measures, and no step changes it.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.units import KIB, MIB

Column = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

PLACES = (
    "reserved", "kernel", "anonymous", "cache", "hot_cache", "dirty", "free", "balloon",
)  # fmt: skip

# What Linux 6.1 keeps to itself before MemTotal: measured in guests of 256 and 512 MiB.
_RESERVED = 20 * MIB
_RESERVED_SHARE = 1 / 40
# Slab, stacks, page tables and the programs that are always there.
_KERNEL = 20 * MIB

# Bounds of min_free_kbytes (Linux, mm/page_alloc.c).
_LEAST_MIN, _MOST_MIN = 128 * KIB, 256 * MIB


def whole(amount: Column) -> Column:
    """Return the amounts, rounded down to whole pages."""
    pages = np.floor(amount * (1 / PAGE_SIZE))
    pages *= PAGE_SIZE
    return pages


def column(value: npt.ArrayLike, count: int) -> Column:
    """Return `value`, one for all or one a guest, as a column of its own, in whole pages."""
    # An addition, since `broadcast_to` takes ten times as long, and this is done every interval.
    return whole(np.zeros(count) + np.asarray(value, np.float64))


@dataclass(slots=True, eq=False)
class State:
    """Guests, one element each; `step` changes them in place."""

    size: Column
    """The guest's RAM with an empty balloon."""
    swap_size: Column
    """What its swap can take; 0 without."""
    deflate_on_oom: Mask
    """Whether the balloon gives memory back before anything is killed."""
    min_watermark: Column
    """Programs get no memory when less than this is free: they reclaim some themselves, ..."""
    low_watermark: Column
    """... and below this the kernel reclaims in the background, ..."""
    high_watermark: Column
    """... until this much is free."""

    # Where the memory is.
    reserved: Column
    """What the kernel has kept since it started; no part of its total memory."""
    kernel: Column
    """What the kernel and lasting programs use, and nothing can reclaim."""
    anonymous: Column
    """What programs hold, as far as it is in memory."""
    cache: Column
    """Files: clean, and read once, so that it costs least to let it go."""
    hot_cache: Column
    """Files: clean, and in constant use: let go, it comes back by major faults."""
    dirty: Column
    """Files: written, and not yet on the disk."""
    free: Column
    balloon: Column

    swapped: Column
    """What programs hold, as far as it is in the swap: no part of `size`."""
    mapped: Column
    """Files that are in constant use: what `hot_cache` would be, were there room."""

    # Counters since boot: amounts in bytes, the rest events. Their names are the statistics'.
    swap_in: Column
    swap_out: Column
    major_faults: Column
    minor_faults: Column
    oom_kills: Column
    alloc_stalls: Column
    async_scans: Column
    direct_scans: Column
    async_reclaims: Column
    direct_reclaims: Column

    @classmethod
    def boot(
        cls,
        size: npt.ArrayLike,
        *,
        swap_size: npt.ArrayLike = 0.0,
        deflate_on_oom: npt.ArrayLike = False,
        reserved: npt.ArrayLike | None = None,
        kernel: npt.ArrayLike = _KERNEL,
    ) -> Self:
        """Return guests that have just started: all that the kernel leaves is free.

        `size`, and each of the others, is one for all guests or one a guest, in bytes. A guest too
        small for what its kernel wants gives it half, and of the rest another half.
        """
        sizes = np.atleast_1d(np.asarray(size, np.float64))
        count = len(sizes)
        values = {field.name: np.zeros(count) for field in fields(cls)}
        values["size"] = sizes = column(sizes, count)
        if reserved is None:
            reserved = _RESERVED + sizes * _RESERVED_SHARE
        values["reserved"] = np.minimum(column(reserved, count), whole(sizes / 2))
        total = sizes - values["reserved"]
        values["kernel"] = np.minimum(column(kernel, count), whole(total / 2))
        values["free"] = total - values["kernel"]
        values["swap_size"] = column(swap_size, count)
        values |= _watermarks(total)
        deflates = np.broadcast_to(np.asarray(deflate_on_oom, np.bool_), count).copy()
        return cls(**{**values, "deflate_on_oom": deflates})  # type: ignore[arg-type] # one mask

    def __len__(self) -> int:
        """Return the number of guests."""
        return len(self.size)

    def rows(self, which: npt.ArrayLike) -> Self:
        """Return copies of the guests that an index, a list or a mask names, in that order."""
        chosen = np.arange(len(self))[np.asarray(which)]
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def lost(self) -> Column:
        """Return how many bytes of each guest are nowhere: zero, whatever has happened."""
        missing = self.size.copy()
        for place in PLACES:
            missing -= getattr(self, place)
        return missing

    @property
    def total_memory(self) -> Column:
        """What the kernel says it has in all; a balloon that may deflate by itself counts in."""
        return self.size - self.reserved - np.where(self.deflate_on_oom, 0.0, self.balloon)

    @property
    def available_memory(self) -> Column:
        """What programs could get without swapping, as Linux estimates it (si_mem_available)."""
        files = self.cache + self.hot_cache + self.dirty
        # Some of the page cache is needed in any case, half of it or the low watermark.
        files -= np.minimum(files / 2, self.low_watermark)
        return np.maximum(whole(self.free - self.high_watermark + files), 0.0)

    @property
    def disk_caches(self) -> Column:
        """All that is kept of files."""
        return self.cache + self.hot_cache + self.dirty


def _watermarks(total: Column) -> dict[str, Column]:
    """Return the watermarks of a kernel with this much memory, as Linux computes them."""
    least = np.clip(np.sqrt(total / KIB * 16) * KIB, _LEAST_MIN, _MOST_MIN)
    step = np.maximum(least / 4, total / 1000)
    return {
        "min_watermark": whole(least),
        "low_watermark": whole(least + step),
        "high_watermark": whole(least + 2 * step),
    }
