"""The measure of harm: the work that a guest lost because it had less than all of its RAM. Pure.

The other guest, the one with all of its RAM and the same past, is not lived through beside each
guest; it is reckoned. Were the balloon empty, its memory would hold what is missing now: first
what is used of the swap, then files in constant use, then what is swapped and unused, then files
that were read before; what remains would be free. What waited for these is lost; what that other
guest would have waited for, too, is not: first reads, its own swapping, its own OOM kills. A
guest whose balloon was always empty has no harm at all, whatever it does to itself, but for what
the host swaps out.

A balloon that has been emptied is still to blame until what it pushed out is back.

Programs are taken for one thread: what any of them waits for, all of them lose.
"""

from typing import NamedTuple

from aerostat.model.rows import (
    BALLOON,
    CACHE,
    COLD,
    FREE,
    HIGH_WATERMARK,
    HOT_CACHE,
    MAPPED,
    MIN_WATERMARK,
    READ_SPAN,
    SEEN,
    SQUEEZED,
    SWAPPED,
    Record,
)


class Missing(NamedTuple):
    """What is used and not in memory, in bytes."""

    swap: float
    files: float
    """Files in constant use."""
    reads: float
    """Files that were read before."""


class Back(NamedTuple):
    """What of that would be in memory, were the balloon empty, and how much would be free."""

    swap: float
    files: float
    reads: float
    free: float


def miss_share(cached: float, span: float, skew: float) -> float:
    """Return which share of reads misses the cache, with `cached` of `span` bytes in it.

    It is (1 - cached / span)^skew; between whole numbers of `skew` it goes straight, so that it
    needs no power function, whose last bits are not the same everywhere.
    """
    if cached >= span:
        return 0.0
    absent = 1.0 - cached / span
    share = 1.0
    while skew >= 1.0:
        share *= absent
        skew -= 1.0
    return share * (1.0 - skew * (1.0 - absent))


def misses(cached: float, span: float, skew: float, read: float) -> float:
    """Return how many of `read` bytes are not in the cache; `skew` 0 is round and round."""
    if skew > 0.0:
        return read * miss_share(cached, span, skew)
    return min(read, max(span - cached, 0.0))


def missing_now(guest: Record) -> Missing:
    """Return what is missing of what is used."""
    files = guest[MAPPED] - guest[HOT_CACHE]
    reads = max(min(guest[SEEN], guest[READ_SPAN]) - guest[CACHE], 0.0)
    return Missing(max(guest[SWAPPED] - guest[COLD], 0.0), files, reads)


def returned(guest: Record, missing: Missing) -> Back:
    """Share the balloon's memory out among what is missing; keep in mind what it pushed out."""
    # Files that are read come back into whatever is free. Once nothing is, there are as many as
    # the other guest has, even if these are not the same ones.
    reads = min(missing.reads, guest[BALLOON] + max(guest[FREE] - guest[HIGH_WATERMARK], 0.0))
    amount = guest[SWAPPED] + missing.files + reads
    guest[SQUEEZED] = min(max(guest[SQUEEZED], guest[BALLOON]), amount)
    rest = max(guest[SQUEEZED], guest[BALLOON])
    swap = min(rest, missing.swap)
    rest -= swap
    files = min(rest, missing.files)
    rest -= files
    rest -= min(rest, guest[SWAPPED] - missing.swap)
    reads = min(rest, reads)
    return Back(swap, files, reads, rest - reads)


def blame(guest: Record, needed: float, more_free: float) -> float:
    """Return which share of direct reclaim is the balloon's doing, for programs that need memory.

    With `more_free` bytes free they would have had to reclaim less, or nothing.
    """
    goal = needed + guest[MIN_WATERMARK] - guest[FREE]
    if goal <= 0.0:
        return 0.0
    return min(more_free / goal, 1.0)
