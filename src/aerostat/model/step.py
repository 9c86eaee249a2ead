"""An interval of time passes for all guests: what their programs get, and what it costs them.

Pure and deterministic, with no clock: `dt` is given. Guests do not know of each other: one among
thousands comes to the same as alone. The state is changed in place.
"""

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.model.demand import Demand, Outcome
from aerostat.model.reclaim import PACE, STALL_BATCH, Pace, Reclaimed, reclaim, reclaimable
from aerostat.model.state import Column, Mask, State, whole

# Linux lets programs have this share of memory written and not on the disk (vm.dirty_ratio).
_DIRTY_SHARE = 0.2
# What balloons left of the files in use when they gave up, in a guest of Linux 6.1.
_SPARED_SHARE = 0.25
# Pages of a mapped file that one minor fault maps (fault_around_bytes is 64 KiB).
_FAULT_AROUND = 16


def step(state: State, demand: Demand, dt: float, pace: Pace = PACE) -> Outcome:
    """Let `dt` seconds pass, and return what came of them."""
    disk = _pages(pace.disk * dt)
    _release(state, demand)
    _write_back(state, disk)

    # What programs cannot go on without; files in use; files that are read and written.
    swap_in, growth = _anonymous_wanted(state, demand)
    needed = swap_in + growth
    refault = np.clip(state.mapped - state.hot_cache, 0.0, disk)
    missed, dirtied, filling = _files_wanted(state, demand, needed + refault)

    background = _pages(pace.background * dt)
    aside = _reclaim_aside(state, needed + refault + filling, background, disk)
    direct = _reclaim_directly(state, needed, disk - aside.written)

    got = _take(state, needed)
    short = needed - got
    exhausted = (short > 0) & (reclaimable(state) <= 0)
    swap_in = np.minimum(swap_in, got)
    growth = got - swap_in
    state.anonymous += got
    state.swapped -= swap_in
    kept = _take(state, refault)
    state.hot_cache += kept
    filled = _fill(state, dirtied, filling)
    _pass_through(state, refault - kept + missed + dirtied - filled)
    _count_faults(state, swap_in, refault, growth, pace)

    waited = direct.freed / pace.reclaim
    waited += (direct.written + swap_in + refault) / pace.disk
    return Outcome(
        grown=growth,
        swapped_in=swap_in,
        swapped_out=aside.swapped + direct.swapped,
        refaulted=refault,
        read_missed=missed,
        short=short,
        stalled=np.where(short > 0, dt, np.minimum(waited, dt)),
        killed=_kill(state, exhausted),
    )


def inflate(state: State, amount: Column) -> Column:
    """Take up to `amount` bytes from the guests into their balloons; return how much it was.

    The balloon's driver takes memory as programs do, and what is missing is reclaimed; but it
    gives up early (Linux allocates with __GFP_NORETRY), so that something of the files in use is
    left, and nothing is killed for it.
    """
    spared = whole(state.mapped * _SPARED_SHARE)
    _reclaim_aside(state, amount, np.inf, np.inf, spared)
    _reclaim_directly(state, amount, np.inf, spared)
    got = _take(state, amount)
    state.balloon += got
    return got


def deflate(state: State, amount: Column) -> Column:
    """Give the guests back up to `amount` bytes of their balloons; return how much it was."""
    given = np.minimum(amount, state.balloon)
    state.balloon -= given
    state.free += given
    return given


def _pages(amount: float) -> float:
    return amount // PAGE_SIZE * PAGE_SIZE


def _release(state: State, demand: Demand) -> None:
    """Free what programs do not want any more, in memory and in the swap alike."""
    held = state.anonymous + state.swapped
    surplus = np.maximum(held - demand.hold, 0.0)
    share = np.divide(state.swapped, held, out=np.zeros_like(held), where=held > 0)
    from_memory = np.minimum(surplus - whole(surplus * share), state.anonymous)
    state.anonymous -= from_memory
    state.free += from_memory
    state.swapped -= surplus - from_memory
    state.mapped[:] = demand.mapped
    cooled = np.maximum(state.hot_cache - state.mapped, 0.0)
    state.hot_cache -= cooled
    state.cache += cooled


def _write_back(state: State, disk: float) -> None:
    """Let the kernel write what programs wrote; it stays in the page cache."""
    cleaned = np.minimum(state.dirty, disk)
    state.dirty -= cleaned
    state.cache += cleaned


def _anonymous_wanted(state: State, demand: Demand) -> tuple[Column, Column]:
    """Return what has to come in from the swap, and what is newly taken."""
    held = state.anonymous + state.swapped
    share = np.divide(state.swapped, held, out=np.zeros_like(held), where=held > 0)
    swap_in = whole(np.minimum(demand.touched, held) * share)
    growth = np.minimum(np.maximum(demand.hold - held, 0.0), demand.growth)
    return swap_in, growth


def _files_wanted(state: State, demand: Demand, needed: Column) -> tuple[Column, Column, Column]:
    """Return what is read from the disk, what is written, and for how much of both there is room.

    Room is what is free, and what had been read before: streams of files push out nothing else.
    """
    missed = np.minimum(demand.read, np.maximum(demand.read_span - state.cache, 0.0))
    limit = whole(_DIRTY_SHARE * (state.free + state.cache + state.dirty))
    dirtied = np.minimum(demand.written, np.maximum(limit - state.dirty, 0.0))
    room = np.maximum(state.free - needed - state.high_watermark, 0.0) + state.cache
    return missed, dirtied, np.minimum(missed + dirtied, room)


def _reclaim_aside(
    state: State, wanted: Column, background: float, disk: float, spared: Column | float = 0.0
) -> Reclaimed:
    """Let kswapd reclaim, which wakes when less than the low watermark would be left."""
    left = state.free - wanted
    goal = np.minimum(state.high_watermark - left, background)
    goal *= left < state.low_watermark
    # It takes so long over what is in use that programs, which cannot wait, do half of that.
    easy = state.cache + state.dirty
    goal = np.minimum(goal, whole((goal + easy) / 2))
    done = reclaim(state, goal, disk, spared)
    state.async_scans += done.scanned
    state.async_reclaims += done.freed
    return done


def _pass_through(state: State, amount: Column) -> None:
    """Count files that came into the page cache and were pushed out by what came after them."""
    state.async_scans += amount
    state.async_reclaims += amount


def _reclaim_directly(
    state: State, wanted: Column, disk: Column | float, spared: Column | float = 0.0
) -> Reclaimed:
    """Let whoever takes memory reclaim what kswapd has not, as far as the min watermark."""
    goal = np.maximum(wanted + state.min_watermark - state.free, 0.0)
    goal = np.ceil(goal / STALL_BATCH) * STALL_BATCH
    done = reclaim(state, goal, disk, spared)
    state.alloc_stalls += goal / STALL_BATCH
    state.direct_scans += done.scanned
    state.direct_reclaims += done.freed
    return done


def _take(state: State, wanted: Column) -> Column:
    """Take free memory, down to the min watermark; return how much it was."""
    got = np.minimum(wanted, np.maximum(state.free - state.min_watermark, 0.0))
    state.free -= got
    return got


def _fill(state: State, dirtied: Column, filling: Column) -> Column:
    """Put files into the page cache; return how much found room."""
    filled = _take(state, filling)
    written = np.minimum(dirtied, filled)
    state.dirty += written
    state.cache += filled - written
    return filled


def _count_faults(
    state: State, swap_in: Column, refault: Column, growth: Column, pace: Pace
) -> None:
    """Count as Linux does: `minor_faults` are all faults; a major one reads ahead."""
    major = np.ceil((swap_in + refault) / pace.fault_cluster)
    minor = (growth + swap_in + refault / _FAULT_AROUND) / PAGE_SIZE
    state.swap_in += swap_in
    state.major_faults += major
    state.minor_faults += np.ceil(np.maximum(minor, major))


def _kill(state: State, exhausted: Mask) -> Mask:
    """Kill programs where nothing else is left; return where that was."""
    held = state.anonymous + state.swapped > 0
    saved = state.deflate_on_oom & (state.balloon > 0)
    killed = exhausted & held & ~saved
    state.free += state.anonymous * killed
    state.anonymous *= ~killed
    state.swapped *= ~killed
    state.oom_kills += killed
    return killed
