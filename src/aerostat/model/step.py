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
# Pages of a mapped file that one minor fault maps (fault_around_bytes is 64 KiB).
_FAULT_AROUND = 16


def step(state: State, demand: Demand, dt: float, pace: Pace = PACE) -> Outcome:
    """Let `dt` seconds pass, and return what came of them."""
    disk = _pages(pace.disk * dt)
    _release(state, demand)
    _write_back(state, disk)

    # What programs need in order to go on; what the balloon's driver and reading take besides.
    swap_in, growth = _anonymous_wanted(state, demand)
    refault = np.maximum(demand.mapped - state.hot_cache, 0.0)
    needed = swap_in + refault + growth
    inflate = np.minimum(demand.inflate, _pages(pace.balloon * dt))
    missed, dirtied, filling = _files_wanted(state, demand, needed)

    taken = needed + inflate
    aside = _reclaim_aside(state, taken + filling, _pages(pace.background * dt), disk)
    _pass_through(state, missed + dirtied - filling)
    direct = _reclaim_directly(state, taken, disk - aside.written)

    got = _take(state, needed)
    short = needed - got
    exhausted = (short > 0) & (reclaimable(state) <= 0)
    swap_in = np.minimum(swap_in, got)
    refault = np.minimum(refault, got - swap_in)
    growth = got - swap_in - refault
    state.anonymous += swap_in + growth
    state.swapped -= swap_in
    state.hot_cache += refault
    _count_faults(state, swap_in, refault, growth, pace)
    inflate = _take(state, inflate)
    state.balloon += inflate
    _fill(state, dirtied, filling)

    # A program waits for what it has read in, and for its part of the reclaim.
    waited = direct.freed / pace.reclaim + direct.written / pace.disk
    waited *= np.divide(needed, taken, out=np.zeros_like(taken), where=taken > 0)
    waited += (swap_in + refault) / pace.disk
    return Outcome(
        grown=growth,
        swapped_in=swap_in,
        swapped_out=aside.swapped + direct.swapped,
        refaulted=refault,
        read_missed=missed,
        inflated=inflate,
        short=short,
        stalled=np.where(short > 0, dt, np.minimum(waited, dt)),
        killed=_kill(state, exhausted),
    )


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
    cooled = np.maximum(state.hot_cache - demand.mapped, 0.0)
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


def _reclaim_aside(state: State, wanted: Column, background: float, disk: float) -> Reclaimed:
    """Let kswapd reclaim, which wakes when less than the low watermark would be left."""
    left = state.free - wanted
    goal = np.minimum(state.high_watermark - left, background)
    goal *= left < state.low_watermark
    done = reclaim(state, goal, np.full_like(goal, disk))
    state.async_scans += done.scanned
    state.async_reclaims += done.freed
    return done


def _pass_through(state: State, amount: Column) -> None:
    """Count what was read into the page cache and pushed out again by what was read after it."""
    state.async_scans += amount
    state.async_reclaims += amount


def _reclaim_directly(state: State, wanted: Column, disk: Column) -> Reclaimed:
    """Let whoever takes memory reclaim what kswapd has not, as far as the min watermark."""
    goal = np.maximum(wanted + state.min_watermark - state.free, 0.0)
    goal = np.ceil(goal / STALL_BATCH) * STALL_BATCH
    done = reclaim(state, goal, disk)
    state.alloc_stalls += goal / STALL_BATCH
    state.direct_scans += done.scanned
    state.direct_reclaims += done.freed
    return done


def _take(state: State, wanted: Column) -> Column:
    """Take free memory, down to the min watermark; return how much it was."""
    got = np.minimum(wanted, np.maximum(state.free - state.min_watermark, 0.0))
    state.free -= got
    return got


def _fill(state: State, dirtied: Column, filling: Column) -> None:
    """Put files into the page cache."""
    filled = _take(state, filling)
    written = np.minimum(dirtied, filled)
    state.dirty += written
    state.cache += filled - written


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
