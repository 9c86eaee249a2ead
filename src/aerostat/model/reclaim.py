"""Reclaim: what a kernel lets go when memory is short, in which order, and what that costs. Pure.

The order is Linux's, as far as it can be seen from outside: files that were read once go first;
then, where there is swap, anonymous memory that nobody looks at; then files in use and anonymous
memory in a proportion by their amounts and the swappiness. What was written has to be on the disk
first.

As all of the functions that work on a guest's record, these are plain functions of floats: see
`aerostat.model.compiled`.
"""

import math

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.model.rows import (
    ALLOC_STALLS,
    ANONYMOUS,
    ASYNC_RECLAIMS,
    ASYNC_SCANS,
    CACHE,
    COLD,
    DIRECT_RECLAIMS,
    DIRECT_SCANS,
    DIRTY,
    FREE,
    HIGH_WATERMARK,
    HOT_CACHE,
    LOW_WATERMARK,
    MIN_WATERMARK,
    SWAP_OUT,
    SWAP_SIZE,
    SWAPPED,
    Record,
)

# Linux's vm.swappiness by default, of 200: the weight of anonymous memory against files.
_SWAPPINESS = 60.0
# What is in use is passed over once or twice before it is let go.
_SCANS_OF_USED = 2.0
# What one allocation that has to wait reclaims: SWAP_CLUSTER_MAX pages (Linux, mm/vmscan.c).
STALL_BATCH = 32.0 * PAGE_SIZE

# Floats, since whole numbers of Python's would have no bound, and those of compiled code have.
_PAGE = float(PAGE_SIZE)
_PAGES_A_BYTE = 1.0 / PAGE_SIZE


def whole_pages(amount: float) -> float:
    """Return an amount below 2^62, rounded down to whole pages."""
    return math.floor(amount * _PAGES_A_BYTE) * _PAGE


def reclaim(
    guest: Record, goal: float, disk: float, spared: float
) -> tuple[float, float, float, float]:
    """Free `goal` bytes, or what can be had, writing at most `disk` bytes of it.

    Of files in use, `spared` bytes stay. Returns what was freed and what was looked at for it;
    what had to be written first, to files or to the swap, and which part of it to the swap.
    """
    clean = min(goal, guest[CACHE])
    guest[CACHE] -= clean
    rest = goal - clean
    cleaned = min(rest, guest[DIRTY], disk)
    guest[DIRTY] -= cleaned
    rest -= cleaned
    if rest <= 0.0:
        guest[FREE] += clean + cleaned
        return clean + cleaned, clean + cleaned, cleaned, 0.0

    room = min(guest[SWAP_SIZE] - guest[SWAPPED], disk - cleaned)
    unused = min(rest, room, guest[ANONYMOUS], max(guest[COLD] - guest[SWAPPED], 0.0))
    rest -= unused
    swappable = min(guest[ANONYMOUS], room) - unused
    weight = swappable * _SWAPPINESS
    used_files = max(guest[HOT_CACHE] - spared, 0.0)
    weights = weight + used_files * (200.0 - _SWAPPINESS)
    swapped = 0.0
    if weights > 0.0:
        swapped = min(whole_pages(rest * (weight / weights)), swappable)
    hot = min(rest - swapped, used_files)
    # Where there are no files left, the rest is anonymous.
    swapped = min(rest - hot, swappable)
    guest[HOT_CACHE] -= hot
    used = hot + swapped
    # Those who found nothing have looked at all that there is.
    scanned = clean + cleaned + unused + used * _SCANS_OF_USED + (rest - used)
    swapped += unused
    guest[ANONYMOUS] -= swapped
    guest[SWAPPED] += swapped
    guest[SWAP_OUT] += swapped

    freed = clean + cleaned + hot + swapped
    guest[FREE] += freed
    return freed, scanned, cleaned + swapped, swapped


def reclaimable(guest: Record) -> float:
    """Return how much could be reclaimed, if there were time enough."""
    swappable = min(guest[ANONYMOUS], guest[SWAP_SIZE] - guest[SWAPPED])
    return guest[CACHE] + guest[DIRTY] + guest[HOT_CACHE] + swappable


def reclaim_aside(
    guest: Record, wanted: float, background: float, disk: float, spared: float
) -> tuple[float, float]:
    """Let kswapd reclaim, which wakes when less than the low watermark would be left.

    `background` is what it gets through. Returns what it wrote, and what of that to the swap.
    """
    left = guest[FREE] - wanted
    if left >= guest[LOW_WATERMARK]:
        return 0.0, 0.0
    goal = min(guest[HIGH_WATERMARK] - left, background)
    # It takes so long over what is in use that programs, which cannot wait, do half of that.
    goal = min(goal, whole_pages((goal + guest[CACHE] + guest[DIRTY]) * 0.5))
    freed, scanned, written, swapped = reclaim(guest, goal, disk, spared)
    guest[ASYNC_SCANS] += scanned
    guest[ASYNC_RECLAIMS] += freed
    return written, swapped


def reclaim_directly(
    guest: Record, wanted: float, disk: float, spared: float
) -> tuple[float, float, float]:
    """Let whoever takes memory reclaim what kswapd has not, as far as the min watermark.

    Returns what was freed, what was written for it, and what of that to the swap.
    """
    goal = wanted + guest[MIN_WATERMARK] - guest[FREE]
    if goal <= 0.0:
        return 0.0, 0.0, 0.0
    batches = math.ceil(goal / STALL_BATCH) * 1.0
    freed, scanned, written, swapped = reclaim(guest, batches * STALL_BATCH, disk, spared)
    guest[ALLOC_STALLS] += batches
    guest[DIRECT_SCANS] += scanned
    guest[DIRECT_RECLAIMS] += freed
    return freed, written, swapped


def take(guest: Record, wanted: float) -> float:
    """Take free memory, down to the min watermark; return how much it was."""
    got = min(wanted, max(guest[FREE] - guest[MIN_WATERMARK], 0.0))
    guest[FREE] -= got
    return got
