"""The memory of guests, as columns: where every byte is, and what has been counted.

Pure. A column is a float64 array with one element a guest; amounts are bytes and, where they are
places, always whole pages, so that their sums are exact. Every byte of a guest is in exactly one
of the columns of `PLACES`: that they add up to `size` is what `State.lost` measures, and no step
changes it.
"""

from typing import Self

import numpy as np
import numpy.typing as npt

from aerostat.model import rows
from aerostat.model.columns import Column, Columns, Row, column, whole
from aerostat.units import KIB, MIB

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


class State(Columns):
    """Guests, one element each; `step` and `advance` change them in place."""

    FIRST = 0
    __slots__ = ()

    size = Row(rows.SIZE)
    """The guest's RAM with an empty balloon."""
    swap_size = Row(rows.SWAP_SIZE)
    """What its swap can take; 0 without."""
    deflate_on_oom = Row(rows.DEFLATE_ON_OOM)
    """1 where the balloon gives memory back before anything is killed."""
    reporting = Row(rows.REPORTING)
    """1 where free pages are reported to the host."""
    min_watermark = Row(rows.MIN_WATERMARK)
    """Programs get no memory when less than this is free: they reclaim some themselves, ..."""
    low_watermark = Row(rows.LOW_WATERMARK)
    """... and below this the kernel reclaims in the background, ..."""
    high_watermark = Row(rows.HIGH_WATERMARK)
    """... until this much is free."""

    # Where the memory is.
    reserved = Row(rows.RESERVED)
    """What the kernel has kept since it started; no part of its total memory."""
    kernel = Row(rows.KERNEL)
    """What the kernel and lasting programs use, and nothing can reclaim."""
    anonymous = Row(rows.ANONYMOUS)
    """What programs hold, as far as it is in memory."""
    cache = Row(rows.CACHE)
    """Files: clean, and read once, so that it costs least to let it go."""
    hot_cache = Row(rows.HOT_CACHE)
    """Files: clean, and in constant use: let go, it comes back by major faults."""
    dirty = Row(rows.DIRTY)
    """Files: written, and not yet on the disk."""
    free = Row(rows.FREE)
    balloon = Row(rows.BALLOON)

    untouched = Row(rows.UNTOUCHED)
    """Of what is free, what the host has no page for: never used since boot, or since it was given
    back by the balloon or reported."""
    swapped = Row(rows.SWAPPED)
    """What programs hold, as far as it is in the swap: no part of `size`."""
    cold = Row(rows.COLD)
    """Of what programs hold, what they never look at: it is the first to be swapped out."""
    mapped = Row(rows.MAPPED)
    """Files that are in constant use: what `hot_cache` would be, were there room."""
    seen = Row(rows.SEEN)
    """How much of the files that are read was ever read: what could be in the page cache."""
    squeezed = Row(rows.SQUEEZED)
    """What the balloon has pushed out and what is not back yet, though it may be empty again."""
    restarting = Row(rows.RESTARTING)
    """Where programs were killed and do not yet hold what they should again: how much of that is
    the balloon's doing, 0 to 1."""

    # The balloon's driver, and what is due in less than a page.
    asked_size = Row(rows.ASKED_SIZE)
    """The target that the driver heard of last; NaN for none."""
    goal = Row(rows.GOAL)
    """What the driver wants to have in the balloon."""
    pause = Row(rows.PAUSE)
    """Seconds until a driver that found nothing tries again."""
    strain = Row(rows.STRAIN)
    """The share of the last interval in which programs waited."""
    swap_rest = Row(rows.SWAP_REST)
    read_rest = Row(rows.READ_REST)
    write_rest = Row(rows.WRITE_REST)

    # Counters since boot: amounts in bytes, the rest events. Their names are the statistics'.
    swap_in = Row(rows.SWAP_IN)
    swap_out = Row(rows.SWAP_OUT)
    major_faults = Row(rows.MAJOR_FAULTS)
    minor_faults = Row(rows.MINOR_FAULTS)
    oom_kills = Row(rows.OOM_KILLS)
    alloc_stalls = Row(rows.ALLOC_STALLS)
    async_scans = Row(rows.ASYNC_SCANS)
    direct_scans = Row(rows.DIRECT_SCANS)
    async_reclaims = Row(rows.ASYNC_RECLAIMS)
    direct_reclaims = Row(rows.DIRECT_RECLAIMS)
    block_reads = Row(rows.BLOCK_READS)
    """What the guest read from its disks, bytes: the hypervisor counts it, not the driver."""

    @classmethod
    def boot(
        cls,
        size: npt.ArrayLike,
        *,
        swap_size: npt.ArrayLike = 0.0,
        deflate_on_oom: npt.ArrayLike = False,
        reporting: npt.ArrayLike = False,
        reserved: npt.ArrayLike | None = None,
        kernel: npt.ArrayLike = _KERNEL,
    ) -> Self:
        """Return guests that have just started: all that the kernel leaves is free.

        `size`, and each of the others, is one for all guests or one a guest, in bytes. A guest too
        small for what its kernel wants gives it half, and of the rest another half.
        """
        sizes = np.atleast_1d(np.asarray(size, np.float64))
        count = len(sizes)
        state = cls.blank(count)
        state.size = sizes = column(sizes, count)
        if reserved is None:
            reserved = _RESERVED + sizes * _RESERVED_SHARE
        state.reserved = np.minimum(column(reserved, count), whole(sizes / 2))
        total = sizes - state.reserved
        state.kernel = np.minimum(column(kernel, count), whole(total / 2))
        state.free = state.untouched = total - state.kernel
        state.swap_size = column(swap_size, count)
        state.deflate_on_oom = np.asarray(deflate_on_oom, np.float64)
        state.reporting = np.asarray(reporting, np.float64)
        state.asked_size = np.nan
        state.set_watermarks()
        return state

    def plug(self, which: npt.ArrayLike, amount: npt.ArrayLike) -> None:
        """Give the guests that an index, a list or a mask names `amount` bytes of RAM more each.

        It is free, and the host has no page of it yet.
        """
        chosen = np.arange(len(self))[np.asarray(which)]
        more = column(amount, len(chosen))
        for grown in (self.size, self.free, self.untouched):
            grown[chosen] += more
        self.set_watermarks()

    def lost(self) -> Column:
        """Return how many bytes of each guest are nowhere: zero, whatever has happened."""
        missing = self.size.copy()
        for place in PLACES:
            missing -= getattr(self, place)
        return missing

    @property
    def held(self) -> Column:
        """What the host has pages for: all but the balloon and what is untouched."""
        return self.size - self.balloon - self.untouched

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

    def set_watermarks(self) -> None:
        """Compute the watermarks as Linux does for as much memory."""
        total = self.size - self.reserved
        least = np.clip(np.sqrt(total / KIB * 16) * KIB, _LEAST_MIN, _MOST_MIN)
        step = np.maximum(least / 4, total / 1000)
        self.min_watermark = whole(least)
        self.low_watermark = whole(least + step)
        self.high_watermark = whole(least + 2 * step)
