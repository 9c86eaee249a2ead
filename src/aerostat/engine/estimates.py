"""What each guest needs and how it fares, from what its driver says.

Four estimates a guest: its **demand** (memory in use), its **reserve** (what it must keep spare:
how far its demand grew within one reaction time), what its **files** are worth, and its
**pressure** (0 to 1). Each is graded by what the guest sends: see `aerostat.engine.files` and
`aerostat.engine.pressure`.

The total that a guest reports falls with the balloon on some configurations and not on others, so
it is never used: demand is the size that the host permits, less what lies idle.
"""

from dataclasses import dataclass

import numpy as np

from aerostat.balloon.statistics import Tag
from aerostat.engine.files import Files, follow_files
from aerostat.engine.observation import BoolArray, FloatArray, Guests
from aerostat.engine.pressure import Cause, feel
from aerostat.engine.settings import Settings
from aerostat.engine.state import State


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """One row a guest."""

    plausible: BoolArray
    """Whether the last statistics can be true."""
    age: FloatArray
    """Of the last plausible sample; infinite for never."""
    confidence: FloatArray
    """1 for a fresh sample, falling to 0 for a silent guest."""
    demand: FloatArray
    """Memory in use."""
    in_use: FloatArray
    """Demand, and the least reserve of all: below this a guest suffers."""
    reserve: FloatArray
    growth: FloatArray
    files: Files
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

    @property
    def idle(self) -> FloatArray:
        """Return what the guest could give, bytes; NaN for not known."""
        return self.files.idle

    @property
    def spare(self) -> FloatArray:
        """Return what should lie idle: the reserve, or what files are worth; they serve as one."""
        return np.maximum(self.reserve, self.files.worth)


def estimate(state: State, now: float, guests: Guests, settings: Settings) -> Estimates:
    """Estimate every guest. `state` is aligned with `guests`, and `guests` are sane."""
    plausible = _plausible(guests)
    # A sample from the future is a clock that lies; it counts as made now.
    made = np.minimum(guests.sample_time, now)
    before = np.minimum(state.sample_time, now)
    # Nor is it a sample if it does not say what is free: some drivers send nothing but absences.
    new = plausible & _says_something(guests.statistics) & np.isfinite(made)
    new &= np.isnan(before) | (made > before)
    statistics = np.where(new[:, None], guests.statistics, state.statistics)
    sample_time = np.where(new, made, before)

    age = np.where(np.isnan(sample_time), np.inf, now - sample_time)
    window = settings.silent_after - settings.fresh_for
    confidence = np.clip((settings.silent_after - age) / window, 0.0, 1.0)

    files = follow_files(state, guests, statistics, new, made, settings)
    idle = files.idle
    elapsed = np.where(new, made - before, np.nan)
    demand = np.where(new, np.clip(guests.guest_size - idle, 0.0, guests.max_size), state.demand)
    growth = _growth(state, guests, demand, elapsed, settings)
    limit = np.maximum(settings.reserve_floor, settings.reserve_ceiling_share * guests.max_size)
    reserve = np.clip(growth, settings.reserve_floor, limit)
    # More than it was given: its driver deflated on OOM, or it restarted.
    took_back = guests.guest_size > np.fmax(state.guest_size, state.asked) + settings.smallest_move
    scarcity = _scarcity(idle, settings.reserve_floor, settings)
    felt, causes = feel(state, now, guests, elapsed, scarcity, files.more, settings)
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
        demand=demand,
        in_use=demand + settings.reserve_floor,
        reserve=reserve,
        growth=growth,
        files=files,
        pressure=np.where(took_back, np.maximum(pressure, settings.harm_pressure), pressure),
        acute=acute,
        cause=np.where(took_back & (cause == Cause.NOTHING), Cause.TOOK_BACK, cause),
        statistics=statistics,
        sample_time=sample_time,
        sample_size=np.where(new, guests.guest_size, state.sample_size),
    )


def _plausible(guests: Guests) -> BoolArray:
    """Tell which guests' figures can be true: no part of memory is larger than all of it."""
    impossible = (guests.statistics < 0).any(axis=1)
    for tag in (Tag.FREE_MEMORY, Tag.TOTAL_MEMORY, Tag.AVAILABLE_MEMORY, Tag.DISK_CACHES):
        impossible |= guests.statistics[:, tag] > guests.max_size
    return np.asarray(~impossible)


def _says_something(statistics: FloatArray) -> BoolArray:
    told = np.isfinite(statistics[:, Tag.AVAILABLE_MEMORY])
    return np.asarray(told | np.isfinite(statistics[:, Tag.FREE_MEMORY]))


def _growth(
    state: State, guests: Guests, demand: FloatArray, elapsed: FloatArray, settings: Settings
) -> FloatArray:
    """Return the worst growth of demand within a reaction time, slowly forgotten.

    A guest of which nothing is known is taken for one that has grown by a share of its maximum.
    """
    seconds = np.nan_to_num(elapsed, nan=0.0)
    before = np.where(
        np.isnan(state.growth), settings.reserve_share * guests.max_size, state.growth
    )
    kept = before * np.exp(-seconds / settings.growth_memory)
    step = np.nan_to_num(np.maximum(demand - state.demand, 0.0), nan=0.0)
    # Samples that lie closer together than a reaction time are scaled up to it, but not for ever:
    # two samples a moment apart say little about three seconds.
    scale = np.clip(settings.reaction_time / np.maximum(seconds, 1e-3), 1.0, 3.0)
    return np.where(seconds > 0, np.maximum(kept, step * scale), before)


def _scarcity(idle: FloatArray, reserve: FloatArray | float, settings: Settings) -> FloatArray:
    """Return 0 where `reserve` is idle, or nearly, to 1 where nothing is."""
    spare = np.nan_to_num(idle / (settings.scarcity_share * reserve), nan=1.0)
    return np.clip(1.0 - spare, 0.0, 1.0)
