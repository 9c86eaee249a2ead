"""An interval of time passes for one guest: what its programs get, and what it costs them. Pure.

Plain functions of floats on a guest's record (`aerostat.model.rows`): the same ones run as they
are for a process guest and compiled for the simulator's thousands (`aerostat.model.compiled`).
"""

import math

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.model.harm import blame, misses, returned
from aerostat.model.pace import Pace
from aerostat.model.reclaim import (
    reclaim_aside,
    reclaim_directly,
    reclaimable,
    take,
    whole_pages,
)
from aerostat.model.rows import (
    ANONYMOUS,
    ASYNC_RECLAIMS,
    ASYNC_SCANS,
    BALLOON,
    BLOCK_READS,
    CACHE,
    COLD,
    COLD_HOLD,
    DEFLATE_ON_OOM,
    DIRTY,
    FREE,
    GOAL,
    GROWN,
    GROWTH,
    HIGH_WATERMARK,
    HOLD,
    HOT_CACHE,
    KILLED,
    LOST,
    MAJOR_FAULTS,
    MAPPED,
    MAPPING,
    MIN_WATERMARK,
    MINOR_FAULTS,
    OOM_KILLS,
    READ,
    READ_MISSED,
    READ_REST,
    READ_SPAN,
    REFAULTED,
    REPORTING,
    RESTARTING,
    SEEN,
    SHORT,
    SKEW,
    STALLED,
    STRAIN,
    SWAP_IN,
    SWAP_REST,
    SWAPPED,
    SWAPPED_IN,
    SWAPPED_OUT,
    TOUCHED,
    UNTOUCHED,
    WRITE_REST,
    WRITTEN,
    Record,
)

# Linux lets programs have this share of memory written and not on the disk (vm.dirty_ratio).
_DIRTY_SHARE = 0.2
# Pages of a mapped file that one minor fault maps (fault_around_bytes is 64 KiB).
_FAULT_AROUND = 16.0
_PAGE = float(PAGE_SIZE)


def pass_interval(guest: Record, dt: float, pace: Pace, disk: float, host_stall: float) -> None:
    """Let `dt` seconds pass in which `disk` bytes can be read and written for want of memory.

    `host_stall` is the probability that a page which is touched was swapped out by the host. What
    came of it is added to the outcome.
    """
    _release(guest)
    _write_back(guest, disk)

    # What programs cannot go on without; files in use; files that are read and written.
    hot = max(guest[ANONYMOUS] + guest[SWAPPED] - guest[COLD], 0.0)
    used_swap = max(guest[SWAPPED] - guest[COLD], 0.0)
    swap_in = _swap_in_wanted(guest, hot, used_swap)
    held = guest[ANONYMOUS] + guest[SWAPPED]
    growth = min(max(guest[HOLD] - held, 0.0), guest[GROWTH])
    needed = swap_in + growth
    files_missing = guest[MAPPED] - guest[HOT_CACHE]
    refault = min(files_missing, disk)
    swap_back, files_back, read_back, more_free = returned(guest, used_swap)
    missed, missed_again = _read_missed(guest, read_back)
    to_blame = blame(guest, needed, more_free)

    missing = whole_pages(guest[READ_REST] + missed)
    guest[READ_REST] += missed - missing
    missing = min(missing, disk)
    dirtied = _dirtied(guest)
    filling = min(missing + dirtied, _room(guest, needed + refault))

    aside, swapped_aside = reclaim_aside(
        guest, needed + refault + filling, whole_pages(pace.background * dt), disk, 0.0
    )
    freed, directly, swapped_directly = reclaim_directly(guest, needed, disk - aside, 0.0)

    got = take(guest, needed)
    short = needed - got
    exhausted = short > 0.0 and reclaimable(guest) <= 0.0
    swapped_in = min(swap_in, got)
    growth = got - swapped_in
    guest[ANONYMOUS] += got
    guest[SWAPPED] -= swapped_in
    kept = take(guest, refault)
    guest[HOT_CACHE] += kept
    filled = take(guest, filling)
    written = min(dirtied, filled)
    guest[DIRTY] += written
    guest[CACHE] += filled - written
    # Files that came into the page cache and were pushed out by what came after them.
    passed = refault - kept + missing + dirtied - filled
    guest[ASYNC_SCANS] += passed
    guest[ASYNC_RECLAIMS] += passed
    guest[UNTOUCHED] = min(guest[UNTOUCHED], guest[FREE])
    _count_faults(guest, swapped_in, refault, growth, pace)
    guest[BLOCK_READS] += swapped_in + refault + missing

    waited_directly = freed / pace.reclaim + directly / pace.disk
    waited = dt
    if short <= 0.0:
        waited = min(waited_directly + (swapped_in + refault) / pace.disk, dt)
    guest[STRAIN] = waited / dt

    lost = waited_directly * to_blame + missed_again / pace.disk
    if swapped_in > 0.0:
        lost += swapped_in / pace.disk * (swap_back / used_swap)
    if refault > 0.0:
        lost += refault / pace.disk * (files_back / files_missing)
    balloons = guest[BALLOON] + files_back
    if short > 0.0:
        lost = max(lost, dt * min(balloons / short, 1.0))
    if host_stall > 0.0:
        touched = min(guest[TOUCHED], hot) + max(guest[READ] - missed, 0.0)
        lost += host_stall * touched / pace.disk

    killed = exhausted and _kill(guest, min(balloons / max(short, _PAGE), 1.0))
    if guest[RESTARTING] > 0.0:
        lost = max(lost, _restarting(guest) * dt)
    _relieve(guest, short)
    if guest[REPORTING] > 0.0:
        _report(guest, dt, pace)

    guest[GROWN] += growth
    guest[SWAPPED_IN] += swapped_in
    guest[SWAPPED_OUT] += swapped_aside + swapped_directly
    guest[REFAULTED] += refault
    guest[READ_MISSED] += missing
    guest[SHORT] += short
    guest[STALLED] += waited
    guest[LOST] += min(lost, dt)
    if killed:
        guest[KILLED] += 1.0


def _release(guest: Record) -> None:
    """Free what programs do not want any more, in memory and in the swap alike."""
    held = guest[ANONYMOUS] + guest[SWAPPED]
    surplus = held - guest[HOLD]
    if surplus > 0.0:
        swapped = whole_pages(surplus * (guest[SWAPPED] / held))
        from_memory = min(surplus - swapped, guest[ANONYMOUS])
        guest[ANONYMOUS] -= from_memory
        guest[FREE] += from_memory
        guest[SWAPPED] -= surplus - from_memory
        held = guest[HOLD]
    guest[COLD] = min(guest[COLD_HOLD], held)
    guest[MAPPED] = guest[MAPPING]
    cooled = guest[HOT_CACHE] - guest[MAPPED]
    if cooled > 0.0:
        guest[HOT_CACHE] -= cooled
        guest[CACHE] += cooled


def _write_back(guest: Record, disk: float) -> None:
    """Let the kernel write what programs wrote; it stays in the page cache."""
    cleaned = min(guest[DIRTY], disk)
    guest[DIRTY] -= cleaned
    guest[CACHE] += cleaned


def _swap_in_wanted(guest: Record, hot: float, used_swap: float) -> float:
    """Return what programs touch that is in the swap; what is less than a page is kept in mind."""
    if used_swap <= 0.0:
        return 0.0
    due = guest[SWAP_REST] + min(guest[TOUCHED], hot) * (used_swap / hot)
    pages = whole_pages(due)
    guest[SWAP_REST] = due - pages
    return min(pages, used_swap)


def _read_missed(guest: Record, read_back: float) -> tuple[float, float]:
    """Return what is read of files that is not cached, and what of that is read once more.

    The latter is what would be cached with all of the RAM, that is, with `read_back` more.
    """
    read, span, skew = guest[READ], guest[READ_SPAN], guest[SKEW]
    if read <= 0.0:
        return 0.0, 0.0
    seen = min(guest[SEEN], span)
    if seen < span:
        guest[SEEN] = seen + min(misses(seen, span, skew, read), span - seen)
    missed = misses(guest[CACHE], span, skew, read)
    if read_back <= 0.0:
        return missed, 0.0
    return missed, missed - misses(guest[CACHE] + read_back, span, skew, read)


def _dirtied(guest: Record) -> float:
    """Return what programs may write to files in this interval."""
    if guest[WRITTEN] <= 0.0:
        return 0.0
    due = guest[WRITE_REST] + guest[WRITTEN]
    pages = whole_pages(due)
    guest[WRITE_REST] = due - pages
    limit = whole_pages(_DIRTY_SHARE * (guest[FREE] + guest[CACHE] + guest[DIRTY]))
    return min(pages, max(limit - guest[DIRTY], 0.0))


def _room(guest: Record, wanted: float) -> float:
    """Return how much of files finds room: streams of them push out nothing else than files."""
    return max(guest[FREE] - wanted - guest[HIGH_WATERMARK], 0.0) + guest[CACHE]


def _count_faults(
    guest: Record, swapped_in: float, refault: float, growth: float, pace: Pace
) -> None:
    """Count as Linux does: `minor_faults` are all faults; a major one reads ahead."""
    moved = growth + swapped_in + refault
    if moved <= 0.0:
        return
    major = math.ceil((swapped_in + refault) / pace.fault_cluster) * 1.0
    minor = (growth + swapped_in + refault / _FAULT_AROUND) / _PAGE
    guest[SWAP_IN] += swapped_in
    guest[MAJOR_FAULTS] += major
    guest[MINOR_FAULTS] += math.ceil(max(minor, major)) * 1.0


def _kill(guest: Record, to_blame: float) -> bool:
    """Kill programs where nothing else is left; return whether it came to that."""
    if guest[ANONYMOUS] + guest[SWAPPED] <= 0.0:
        return False
    if guest[DEFLATE_ON_OOM] > 0.0 and guest[BALLOON] > 0.0:
        return False
    guest[FREE] += guest[ANONYMOUS]
    guest[ANONYMOUS] = 0.0
    guest[SWAPPED] = 0.0
    guest[OOM_KILLS] += 1.0
    guest[RESTARTING] = to_blame
    return True


def _restarting(guest: Record) -> float:
    """Return the share of work that killed programs cannot do until they are where they were."""
    held = guest[ANONYMOUS] + guest[SWAPPED]
    if held >= guest[HOLD]:
        guest[RESTARTING] = 0.0
        return 0.0
    return guest[RESTARTING] * (1.0 - held / guest[HOLD])


def _relieve(guest: Record, short: float) -> None:
    """Have a balloon that may give back what programs are short of, and take no more of its own.

    Linux's driver does not inflate again after that until it hears of a new target.
    """
    if short > 0.0 and guest[DEFLATE_ON_OOM] > 0.0:
        guest[GOAL] = min(guest[GOAL], max(guest[BALLOON] - short, 0.0))


def _report(guest: Record, dt: float, pace: Pace) -> None:
    """Report free pages, which the host then takes back: what has been free for a while."""
    touched = guest[FREE] - guest[UNTOUCHED] - guest[MIN_WATERMARK]
    if touched > 0.0:
        share = min(dt / pace.report_delay, 1.0)
        guest[UNTOUCHED] += whole_pages(min(touched * share, pace.report * dt))
