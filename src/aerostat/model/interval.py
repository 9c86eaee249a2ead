"""An interval of time passes for one guest: what its programs get, and what it costs them. Pure.

Plain functions of floats on a guest's record (`aerostat.model.rows`): the same ones run as they
are for a process guest and compiled for the simulator's thousands (`aerostat.model.compiled`).
"""

import math
from typing import NamedTuple

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.model.harm import Back, Missing, blame, misses, missing_now, returned
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
    LOW_WATERMARK,
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
# One minor fault maps so many pages of a mapped file at once (fault_around_bytes is 64 KiB).
_AROUND_A_FAULT = 1.0 / 16.0
_PAGES_A_BYTE = 1.0 / PAGE_SIZE


class Wanted(NamedTuple):
    """What has to come into memory in an interval, bytes in whole pages."""

    swap_in: float
    growth: float
    """Anonymous memory that is newly taken."""
    refault: float
    """Files in constant use that had been let go."""
    missed: float
    """What is read of other files and not cached."""
    missed_again: float
    """What of that would have been, with all of the RAM; not in whole pages."""
    dirtied: float
    """What is written to files."""


class Had(NamedTuple):
    """What was had of it, and what it took."""

    swapped_in: float
    short: float
    """What is missing of swap and growth together."""
    freed: float
    """What programs had to reclaim themselves, ..."""
    written: float
    """... and what they had to write for it."""
    swapped_out: float
    """What was written to the swap for it, by them and by kswapd."""


def pass_interval(guest: Record, dt: float, pace: Pace, disk: float, host_stall: float) -> None:
    """Let `dt` seconds pass in which `disk` bytes can be read and written for want of memory.

    `host_stall` is the probability that a page which is touched was swapped out by the host. What
    came of it is added to the outcome.
    """
    _release(guest)
    _write_back(guest, disk)
    missing = missing_now(guest)
    back = returned(guest, missing)
    wanted = _wanted(guest, missing, back, disk)
    needed = wanted.swap_in + wanted.growth
    moved = needed + wanted.refault + wanted.missed + wanted.dirtied
    waited = lost = 0.0
    had = Had(0.0, 0.0, 0.0, 0.0, 0.0)
    # Mostly nothing has to be moved, and time is short.
    if moved > 0.0 or guest[FREE] < guest[LOW_WATERMARK]:
        to_blame = blame(guest, needed + wanted.refault, back.free)
        had = _reclaim_and_take(guest, wanted, dt, pace, disk)
        _count(guest, wanted, had, pace)
        if had.freed > 0.0:
            waited = had.freed / pace.reclaim + had.written / pace.disk
            lost = waited * to_blame
        waited += (had.swapped_in + wanted.refault) / pace.disk
    again = _read_again(wanted, had, missing, back)
    if again > 0.0:
        lost += again / pace.disk
    if host_stall > 0.0:
        lost += host_stall * _touched(guest, wanted) / pace.disk
    if had.short > 0.0:
        waited = dt
        balloons = min(guest[BALLOON] / had.short, 1.0)
        lost = max(lost, dt * balloons)
        _go_short(guest, had.short, balloons)
    if guest[RESTARTING] > 0.0:
        lost = max(lost, _restarting(guest) * dt)

    guest[STRAIN] = 0.0
    if waited > 0.0:
        guest[STRAIN] = min(waited / dt, 1.0)
        guest[STALLED] += min(waited, dt)
    guest[LOST] += min(lost, dt)
    guest[UNTOUCHED] = min(guest[UNTOUCHED], guest[FREE])
    if guest[REPORTING] > 0.0:
        _report(guest, dt, pace)


def _wanted(guest: Record, missing: Missing, back: Back, disk: float) -> Wanted:
    """Return what programs cannot go on without, files in use, and files read and written."""
    held = guest[ANONYMOUS] + guest[SWAPPED]
    growth = min(max(guest[HOLD] - held, 0.0), guest[GROWTH])
    swap_in = 0.0
    if missing.swap > 0.0:
        hot = held - guest[COLD]
        due = guest[SWAP_REST] + min(guest[TOUCHED], hot) * (missing.swap / hot)
        pages = whole_pages(due)
        guest[SWAP_REST] = due - pages
        swap_in = min(pages, missing.swap)
    missed = again = 0.0
    if guest[READ] > 0.0:
        due, again = _read_missed(guest, back.reads)
        due += guest[READ_REST]
        missed = whole_pages(due)
        guest[READ_REST] = due - missed
        missed = min(missed, disk)
    return Wanted(swap_in, growth, min(missing.files, disk), missed, again, _dirtied(guest))


def _reclaim_and_take(guest: Record, wanted: Wanted, dt: float, pace: Pace, disk: float) -> Had:
    """Make room for what is wanted and take it, as far as there is any."""
    needed = wanted.swap_in + wanted.growth
    # Streams of files push out nothing else than files, which they find room in, too.
    room = max(guest[FREE] - needed - wanted.refault - guest[HIGH_WATERMARK], 0.0) + guest[CACHE]
    files = wanted.missed + wanted.dirtied
    filling = min(files, room)
    aside, swapped_aside = reclaim_aside(
        guest, needed + wanted.refault + filling, whole_pages(pace.background * dt), disk, 0.0
    )
    # A fault on a file in use cannot wait for kswapd either.
    freed, written, swapped = reclaim_directly(guest, needed + wanted.refault, disk - aside, 0.0)

    got = take(guest, needed)
    swapped_in = min(wanted.swap_in, got)
    guest[ANONYMOUS] += got
    guest[SWAPPED] -= swapped_in
    kept = take(guest, wanted.refault)
    guest[HOT_CACHE] += kept
    filled = take(guest, filling)
    dirty = min(wanted.dirtied, filled)
    guest[DIRTY] += dirty
    guest[CACHE] += filled - dirty
    # Files that came into the page cache and were pushed out by what came after them.
    passed = wanted.refault - kept + files - filled
    guest[ASYNC_SCANS] += passed
    guest[ASYNC_RECLAIMS] += passed
    guest[GROWN] += got - swapped_in
    return Had(swapped_in, needed - got, freed, written, swapped + swapped_aside)


def _count(guest: Record, wanted: Wanted, had: Had, pace: Pace) -> None:
    """Count as Linux does: `minor_faults` are all faults; a major one reads ahead."""
    growth = wanted.swap_in + wanted.growth - had.short - had.swapped_in
    faulted = had.swapped_in + wanted.refault
    if faulted + growth > 0.0:
        major = 0.0
        if faulted > 0.0:
            major = math.ceil(faulted / pace.fault_cluster) * 1.0
        minor = (growth + had.swapped_in + wanted.refault * _AROUND_A_FAULT) * _PAGES_A_BYTE
        guest[SWAP_IN] += had.swapped_in
        guest[SWAPPED_IN] += had.swapped_in
        guest[REFAULTED] += wanted.refault
        guest[MAJOR_FAULTS] += major
        guest[MINOR_FAULTS] += math.ceil(max(minor, major)) * 1.0
    guest[BLOCK_READS] += faulted + wanted.missed
    guest[READ_MISSED] += wanted.missed
    guest[SWAPPED_OUT] += had.swapped_out
    guest[SHORT] += had.short


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


def _read_missed(guest: Record, read_back: float) -> tuple[float, float]:
    """Return what is read of files that is not cached, and what of that is read once more.

    The latter is what would be cached with all of the RAM, that is, with `read_back` more.
    """
    read, span, skew = guest[READ], guest[READ_SPAN], guest[SKEW]
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


def _read_again(wanted: Wanted, had: Had, missing: Missing, back: Back) -> float:
    """Return what had to be read from the disk, and with all of the RAM would have been there."""
    again = wanted.missed_again
    if had.swapped_in > 0.0:
        again += had.swapped_in * (back.swap / missing.swap)
    if wanted.refault > 0.0:
        again += wanted.refault * (back.files / missing.files)
    return again


def _touched(guest: Record, wanted: Wanted) -> float:
    """Return what programs touch of what they have in memory."""
    hot = max(guest[ANONYMOUS] - guest[COLD], 0.0)
    return min(guest[TOUCHED], hot) + max(guest[READ] - wanted.missed, 0.0)


def _go_short(guest: Record, short: float, to_blame: float) -> None:
    """Let the balloon give what programs are short of, if it may; or kill, if nothing else is left.

    Linux's driver does not inflate again after that until it hears of a new target.
    """
    if guest[DEFLATE_ON_OOM] > 0.0 and guest[BALLOON] > 0.0:
        guest[GOAL] = min(guest[GOAL], max(guest[BALLOON] - short, 0.0))
        return
    if reclaimable(guest) > 0.0 or guest[ANONYMOUS] + guest[SWAPPED] <= 0.0:
        return
    guest[FREE] += guest[ANONYMOUS]
    guest[ANONYMOUS] = 0.0
    guest[SWAPPED] = 0.0
    guest[OOM_KILLS] += 1.0
    guest[KILLED] += 1.0
    guest[RESTARTING] = to_blame


def _restarting(guest: Record) -> float:
    """Return the share of work that killed programs cannot do until they are where they were."""
    held = guest[ANONYMOUS] + guest[SWAPPED]
    if held >= guest[HOLD]:
        guest[RESTARTING] = 0.0
        return 0.0
    return guest[RESTARTING] * (1.0 - held / guest[HOLD])


def _report(guest: Record, dt: float, pace: Pace) -> None:
    """Report free pages, which the host then takes back: what has been free for a while."""
    touched = guest[FREE] - guest[UNTOUCHED] - guest[MIN_WATERMARK]
    if touched > 0.0:
        share = min(dt / pace.report_delay, 1.0)
        guest[UNTOUCHED] += whole_pages(min(touched * share, pace.report * dt))
