"""What each guest needs and how it fares, from what its driver says.

Three estimates a guest: its **demand** (memory that it could not give without harm), its
**reserve** (what it must keep spare: how far its demand grew within one reaction time), and its
**pressure** (0 to 1). Each is graded by what the guest sends: with all 16 tags stalls and direct
reclaim are seen; with ten the kernel's own estimate of available memory; with six only free
memory, and cache counts as demand. What the hypervisor counts of its disk reads is a sign beside
those: a guest that reads back what it had to drop reads more than usual, but so does one that
merely reads, so it counts only shortly after memory was taken, or together with other signs.

Two more traps are avoided here. Linux counts the faults that *swap-in* causes among the major
faults, and swap-in is healing, not harm: it is subtracted. And the total that a guest reports falls
with the balloon on some configurations and not on others, so it is never used: demand is the size
that the host permits, less what lies idle.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import BoolArray, FloatArray, Guests
from aerostat.engine.settings import Settings
from aerostat.engine.state import State


class Cause(IntEnum):
    """What a guest's pressure shows in."""

    NOTHING = 0
    SCARCITY = 1
    SWAP_OUT = 2
    MAJOR_FAULTS = 3
    STALLS = 4
    DIRECT_RECLAIM = 5
    OOM_KILL = 6
    TOOK_BACK = 7
    BLOCK_READS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """One row a guest."""

    plausible: BoolArray
    """Whether the last statistics can be true."""
    age: FloatArray
    """Of the last plausible sample; infinite for never."""
    confidence: FloatArray
    """1 for a fresh sample, falling to 0 for a silent guest."""
    idle: FloatArray
    """What the guest says it could give, bytes; NaN for not known."""
    demand: FloatArray
    in_use: FloatArray
    """Demand, and the least reserve of all: below this a guest suffers."""
    reserve: FloatArray
    growth: FloatArray
    pressure: FloatArray
    """0 to 1; it rises at once and falls slowly."""
    acute: FloatArray
    """What the newest figures show by themselves, and how near the guest is to running out."""
    cause: FloatArray
    statistics: FloatArray
    """The last plausible statistics, and ..."""
    sample_time: FloatArray
    """... when they were made, and ..."""
    sample_size: FloatArray
    """... the guest's size then."""
    block_reads: FloatArray
    """What it had read from its disks when that was last told, ..."""
    reads_time: FloatArray
    """... and when that was: it is told less often than the rest."""
    read_rate: FloatArray
    """What it usually reads from them, bytes a second."""


def estimate(state: State, now: float, guests: Guests, settings: Settings) -> Estimates:
    """Estimate every guest. `state` is aligned with `guests`, and `guests` are sane."""
    plausible = _plausible(guests)
    # A sample from the future is a clock that lies; it counts as made now.
    made = np.minimum(guests.sample_time, now)
    before = np.minimum(state.sample_time, now)
    # Nor is it a sample if it does not say what is free: some drivers send nothing but absences.
    new = plausible & np.isfinite(_idle(guests.statistics)) & np.isfinite(made)
    new &= np.isnan(before) | (made > before)
    statistics = np.where(new[:, None], guests.statistics, state.statistics)
    sample_time = np.where(new, made, before)

    age = np.where(np.isnan(sample_time), np.inf, now - sample_time)
    window = settings.silent_after - settings.fresh_for
    confidence = np.clip((settings.silent_after - age) / window, 0.0, 1.0)

    idle = _idle(statistics)
    elapsed = np.where(new, made - before, np.nan)
    demand = np.where(new, np.clip(guests.guest_size - idle, 0.0, guests.max_size), state.demand)
    growth = _growth(state, demand, elapsed, settings)
    floor = np.maximum(settings.reserve_floor, settings.reserve_share * guests.max_size)
    limit = np.maximum(floor, settings.reserve_ceiling_share * guests.max_size)
    # More than it was given: its driver deflated on OOM, or it restarted.
    took_back = guests.guest_size > np.fmax(state.guest_size, state.asked) + settings.smallest_move
    reserve = np.clip(growth, floor, limit)
    counted = new & ~np.isnan(guests.block_reads)
    reads_elapsed = np.where(counted, made - np.minimum(state.reads_time, now), np.nan)
    reads, read_rate = _reads(state, guests, reads_elapsed, settings)
    scarcity = _scarcity(idle, floor, settings)
    felt, causes = _pressure(state, now, guests, elapsed, scarcity, reads, settings)
    since = 0.0 if np.isnan(state.stepped) else max(0.0, now - state.stepped)
    kept = state.pressure * np.exp(-since / settings.pressure_fall)
    pressure = np.maximum(felt, kept)
    # A guest known for bursts is in distress before it feels it: it may run out within a
    # reaction time.
    acute = np.maximum(felt, _scarcity(idle, reserve, settings))
    cause = np.where(felt >= kept, causes, state.cause)
    cause = np.where(acute > pressure, Cause.SCARCITY, cause)
    return Estimates(
        plausible=plausible,
        age=age,
        confidence=np.where(plausible, confidence, 0.0),
        idle=idle,
        demand=demand,
        in_use=demand + floor,
        reserve=reserve,
        growth=growth,
        pressure=np.where(took_back, np.maximum(pressure, settings.harm_pressure), pressure),
        acute=acute,
        cause=np.where(took_back & (cause == Cause.NOTHING), Cause.TOOK_BACK, cause),
        statistics=statistics,
        sample_time=sample_time,
        sample_size=np.where(new, guests.guest_size, state.sample_size),
        block_reads=np.where(counted, guests.block_reads, state.block_reads),
        reads_time=np.where(counted, made, np.minimum(state.reads_time, now)),
        read_rate=read_rate,
    )


def _plausible(guests: Guests) -> BoolArray:
    """Tell which guests' figures can be true: no part of memory is larger than all of it."""
    impossible = (guests.statistics < 0).any(axis=1)
    for tag in (Tag.FREE_MEMORY, Tag.TOTAL_MEMORY, Tag.AVAILABLE_MEMORY, Tag.DISK_CACHES):
        impossible |= guests.statistics[:, tag] > guests.max_size
    return np.asarray(~impossible)


def _idle(statistics: FloatArray) -> FloatArray:
    available = statistics[:, Tag.AVAILABLE_MEMORY]
    return np.where(np.isnan(available), statistics[:, Tag.FREE_MEMORY], available)


def _growth(
    state: State, demand: FloatArray, elapsed: FloatArray, settings: Settings
) -> FloatArray:
    """Return the worst growth of demand within a reaction time, slowly forgotten."""
    seconds = np.nan_to_num(elapsed, nan=0.0)
    kept = state.growth * np.exp(-seconds / settings.growth_memory)
    step = np.nan_to_num(np.maximum(demand - state.demand, 0.0), nan=0.0)
    # Samples that lie closer together than a reaction time are scaled up to it, but not for ever:
    # two samples a moment apart say little about three seconds.
    scale = np.clip(settings.reaction_time / np.maximum(seconds, 1e-3), 1.0, 3.0)
    return np.where(seconds > 0, np.maximum(kept, step * scale), state.growth)


def _rate(
    state: State, guests: Guests, tag: Tag, elapsed: FloatArray, less: FloatArray | float = 0.0
) -> FloatArray:
    """Return the rate of a counter's steps beyond `less`.

    It is 0 where the counter is absent, went backwards (a reboot) or is not new.
    """
    step = guests.statistics[:, tag] - state.statistics[:, tag] - less
    counted = (step > 0) & (elapsed > 0)
    return np.divide(step, elapsed, out=np.zeros_like(step), where=counted)


def _scarcity(idle: FloatArray, reserve: FloatArray, settings: Settings) -> FloatArray:
    """Return 0 where `reserve` is idle, or nearly, to 1 where nothing is."""
    spare = np.nan_to_num(idle / (settings.scarcity_share * reserve), nan=1.0)
    return np.clip(1.0 - spare, 0.0, 1.0)


def _reads(
    state: State, guests: Guests, elapsed: FloatArray, settings: Settings
) -> tuple[FloatArray, FloatArray]:
    """Return how much more than usual each guest reads from its disks, and what is usual.

    `elapsed` is since the counter was last told; NaN where it is not told now.
    """
    step = guests.block_reads - state.block_reads
    counted = (step >= 0) & (elapsed > 0)
    rate = np.divide(step, elapsed, out=np.full_like(step, np.nan), where=counted)
    usual = state.read_rate
    kept = np.exp(-np.nan_to_num(elapsed, nan=0.0) / settings.reads_memory)
    nearer = np.where(np.isnan(usual), rate, rate + (usual - rate) * kept)
    more = np.nan_to_num(np.maximum(rate - usual, 0.0), nan=0.0)
    return more, np.where(counted, nearer, usual)


def _pressure(
    state: State,
    now: float,
    guests: Guests,
    elapsed: FloatArray,
    scarcity: FloatArray,
    reads: FloatArray,
    settings: Settings,
) -> tuple[FloatArray, FloatArray]:
    """Return the pressure that shows now, and its cause."""
    # A balloon that grows into page cache reclaims it directly, on the guest's account: for each
    # 32 pages (SWAP_CLUSTER_MAX) at most a stall. That is put down to us, and is no harm; of the
    # bytes twice as many, since a stall frees more than was asked for.
    taken = np.nan_to_num(np.maximum(state.sample_size - guests.guest_size, 0.0), nan=0.0)
    our_reclaim = 2.0 * taken
    our_stalls = taken / (32 * PAGE_SIZE)

    def rate(tag: Tag, less: FloatArray | float = 0.0) -> FloatArray:
        return _rate(state, guests, tag, elapsed, less)

    def score(value: FloatArray, half: FloatArray | float) -> FloatArray:
        """Return 0 for 0, 1/2 for `half`, towards 1 for much more."""
        return np.asarray(value / (value + half))

    # One percent of a guest's memory moved in a second for want of memory is half of the way to
    # a guest that does nothing else; so are ten stalls, or a hundred faults that went to disk.
    one_percent = np.maximum(0.01 * guests.max_size, 1.0)
    faults = rate(Tag.MAJOR_FAULTS) - rate(Tag.SWAP_IN) / PAGE_SIZE
    scores = np.zeros((len(Cause), len(guests)))
    scores[Cause.SCARCITY] = scarcity
    scores[Cause.SWAP_OUT] = score(rate(Tag.SWAP_OUT), one_percent)
    # Programs that start fault too: alone, major faults never make a distress.
    scores[Cause.MAJOR_FAULTS] = 0.45 * score(np.maximum(faults, 0.0), 100.0)
    scores[Cause.STALLS] = score(rate(Tag.ALLOC_STALLS, our_stalls), 10.0)
    scores[Cause.DIRECT_RECLAIM] = score(rate(Tag.DIRECT_RECLAIMS, our_reclaim), one_percent)
    scores[Cause.OOM_KILL] = rate(Tag.OOM_KILLS) > 0
    _add_reads(scores, score(reads, one_percent), state, now, guests, settings)

    found = 1.0 - np.prod(1.0 - scores, axis=0)
    cause = np.where(found > 0.01, np.argmax(scores, axis=0), Cause.NOTHING)
    return found, cause.astype(np.float64)


def _add_reads(
    scores: FloatArray,
    reads: FloatArray,
    state: State,
    now: float,
    guests: Guests,
    settings: Settings,
) -> None:
    """Count unusual reads from disk as far as other signs say that they are refaults.

    They and major faults are two views of the same thing, so only the larger counts. Guests whose
    kernel shows its reclaim need this sign less.
    """
    told = ~np.isnan(guests.statistics)
    lately = np.nan_to_num(np.exp(-(now - state.taken_time) / settings.cooldown), nan=0.0)
    # Without an estimate of what is available little is always free, and that says nothing.
    scarce = np.where(told[:, Tag.AVAILABLE_MEMORY], scores[Cause.SCARCITY], 0.0)
    likely = np.maximum(np.maximum(lately, scarce), scores[Cause.SWAP_OUT])
    weight = np.where(told[:, Tag.DIRECT_RECLAIMS], 0.2, 0.45)
    found = weight * np.minimum(likely, 1.0) * reads
    faults = scores[Cause.MAJOR_FAULTS]
    scores[Cause.BLOCK_READS] = np.where(found > faults, found, 0.0)
    scores[Cause.MAJOR_FAULTS] = np.where(found > faults, 0.0, faults)
