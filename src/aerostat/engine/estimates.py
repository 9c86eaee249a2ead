"""What each guest needs and how it fares, from what its driver says.

Four estimates a guest: its **demand** (memory in use), its **growth** (how far that grew within one
reaction time, of which its reserve is made), what its **files** are worth, and its **pressure** (0
to 1). Each is graded by what the guest sends: see `aerostat.engine.files` and
`aerostat.engine.pressure`.

The total that a guest reports falls with the balloon on some configurations and not on others, so
it is never used: demand is the size that the host permits, less what lies idle.
"""

from dataclasses import dataclass

import numpy as np

from aerostat.balloon.statistics import Tag
from aerostat.engine.files import Files, follow_files
from aerostat.engine.observation import BoolArray, FloatArray, Guests, known_or
from aerostat.engine.pressure import Cause, feel
from aerostat.engine.reserves import find_brittle, follow_growth, follow_rush, scarce
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.trust import follow_trust

_UNHEARD = 2.0
"""A guest that is new is taken for one whose figures get so many times as old as is fresh: some
eight samples in a row show that they do not."""


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
    """Demand, what a rush will take, and the least reserve of all: below this a guest suffers."""
    rush: FloatArray
    """How fast its demand grows now, bytes a second."""
    loose: FloatArray
    """What of it is free, and was when it was asked, bytes; 0 where it is not known."""
    growth: FloatArray
    """How far its demand grew within a reaction time, at its recent worst."""
    brittle: BoolArray
    """Whether its programs are killed when its memory runs out."""
    files: Files
    shown_lately: FloatArray
    """The part of what its files are worth that reads have shown lately, 0 to 1."""
    pressure: FloatArray
    """0 to 1; it rises at once and falls slowly."""
    felt: FloatArray
    """What the newest figures show by themselves."""
    trust: FloatArray
    """How far its word is believed, 0 to 1."""
    cause: FloatArray
    gap: FloatArray
    """How old its figures get before newer ones come, seconds, lately."""
    seldom: FloatArray
    """How seldom it is heard, 0 (often enough) to 1 (too seldom to see a burst in time)."""
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
    confidence = np.where(plausible, confidence, 0.0)

    gap = _gap(state, now, new, age, settings)
    files = follow_files(state, guests, statistics, new, made, settings)
    idle = files.idle
    elapsed = np.where(new, made - before, np.nan)
    demand = np.where(new, np.clip(guests.guest_size - idle, 0.0, guests.max_size), state.demand)
    trust = follow_trust(state, guests, made, new, settings)
    # What is in use has been touched, so the host holds it.
    demand = demand - (1.0 - trust) * np.fmax(demand - guests.held, 0.0)
    # What is found out about files is no growth.
    found = files.mapped - known_or(state.mapped, 0.0)
    killed = new & _killed(state, guests, statistics, demand, settings)
    growth = follow_growth(state, guests, demand - found, elapsed, killed, settings)
    scarcity = scarce(idle, settings.reserve_floor, settings)
    rush = follow_rush(state, guests, demand - found, elapsed, scarcity, settings)
    sample_size = np.where(new, guests.guest_size, state.sample_size)
    taken = np.maximum(sample_size - guests.guest_size, 0.0)
    loose = known_or(statistics[:, Tag.FREE_MEMORY] - taken, 0.0)
    # More than it was given: its driver deflated on OOM, or it restarted.
    took_back = guests.guest_size > np.fmax(state.guest_size, state.asked) + settings.smallest_move
    felt, causes = feel(state, now, guests, statistics, elapsed, scarcity, files.more, settings)
    felt = felt * trust
    felt = np.where(took_back, np.maximum(felt, settings.harm_pressure), felt)
    since = 0.0 if np.isnan(state.stepped) else max(0.0, now - state.stepped)
    kept = state.pressure * np.exp(-since / settings.pressure_fall)
    pressure = np.maximum(felt, kept)
    cause = np.where(felt >= kept, causes, state.cause)
    return Estimates(
        plausible=plausible,
        age=age,
        confidence=confidence,
        demand=demand,
        in_use=demand + settings.reserve_floor + rush * settings.rush_lead,
        rush=rush,
        loose=np.where(confidence < 1.0, 0.0, np.maximum(loose, 0.0)),
        growth=growth,
        brittle=find_brittle(guests, statistics, sample_size, settings),
        files=files,
        shown_lately=known_or(np.exp((files.worth_time - now) / settings.worth_fresh), 0.0),
        pressure=pressure,
        felt=felt,
        trust=trust,
        cause=np.where(took_back & (cause == Cause.NOTHING), Cause.TOOK_BACK, cause),
        gap=gap,
        seldom=np.clip(gap / settings.fresh_for - 1.0, 0.0, 1.0),
        statistics=statistics,
        sample_time=sample_time,
        sample_size=sample_size,
    )


def _gap(
    state: State, now: float, new: BoolArray, age: FloatArray, settings: Settings
) -> FloatArray:
    """Return how old figures get before newer ones come: a long time counts at once.

    Of a guest that is new nobody knows it, so it is taken for one that is seldom heard.
    """
    known = known_or(state.gap, _UNHEARD * settings.fresh_for)
    reached = now - np.minimum(state.sample_time, now)
    learned = known + settings.gap_weight * np.fmin(reached - known, 0.0)
    return np.fmax(np.where(new, learned, known), np.where(np.isnan(state.sample_time), 0.0, age))


def _killed(
    state: State,
    guests: Guests,
    statistics: FloatArray,
    demand: FloatArray,
    settings: Settings,
) -> BoolArray:
    """Tell in which guests a program was killed for want of memory."""
    kills = statistics[:, Tag.OOM_KILLS]
    # A driver that does not count them shows a guest in need that lets go of much at once.
    gone = state.demand - demand > settings.killed_share * guests.max_size
    gone &= np.isnan(kills) & (state.pressure >= settings.emergency_pressure)
    return np.asarray(gone | (kills > state.statistics[:, Tag.OOM_KILLS]))


def _plausible(guests: Guests) -> BoolArray:
    """Tell which guests' figures can be true: no part of memory is larger than all of it."""
    impossible = (guests.statistics < 0).any(axis=1)
    for tag in (Tag.FREE_MEMORY, Tag.TOTAL_MEMORY, Tag.AVAILABLE_MEMORY, Tag.DISK_CACHES):
        impossible |= guests.statistics[:, tag] > guests.max_size
    return np.asarray(~impossible)


def _says_something(statistics: FloatArray) -> BoolArray:
    told = np.isfinite(statistics[:, Tag.AVAILABLE_MEMORY])
    return np.asarray(told | np.isfinite(statistics[:, Tag.FREE_MEMORY]))
