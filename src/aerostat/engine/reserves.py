"""What each guest must keep spare, so that what it takes until it is given more is there.

A guest's **growth** is how far its demand grew within one reaction time, at its recent worst: a
larger burst counts at once, and is forgotten slowly. One of which nothing is known is taken for one
that has grown by a share of its maximum. That much should be in **reserve**.

One that grows now will go on: its **rush** is how fast, and what it will take until it can be given
more is needed as what it uses is.

Not all grow at once. Where there is not room for all reserves of a host beside what its guests use,
each keeps the same part of its own: who needs memory now goes before who might. But a guest that is
**brittle** has programs killed when it runs out, and others only slow down: theirs come after.
"""

import numpy as np

from aerostat.balloon.statistics import Tag
from aerostat.engine.accounts import Accounts, Ledger
from aerostat.engine.observation import BoolArray, FloatArray, Guests, known_or
from aerostat.engine.settings import Settings
from aerostat.engine.state import State


def follow_growth(
    state: State,
    guests: Guests,
    demand: FloatArray,
    elapsed: FloatArray,
    killed: BoolArray,
    settings: Settings,
) -> FloatArray:
    """Return the worst growth of demand within a reaction time, slowly forgotten.

    A guest of which nothing is known is taken for one that has grown by a share of its maximum.
    """
    seconds = known_or(elapsed, 0.0)
    before = np.where(
        np.isnan(state.growth), settings.reserve_share * guests.max_size, state.growth
    )
    kept = before * np.exp(-seconds / settings.growth_memory)
    # What it had in reserve when it was killed for want of memory was not enough.
    kept = np.where(killed, np.minimum(2.0 * kept, guests.max_size), kept)
    step = np.fmax(demand - state.demand, 0.0)
    # Samples that lie closer together than a reaction time are scaled up to it, but not for ever:
    # two samples a moment apart say little about three seconds.
    scale = np.clip(settings.reaction_time / np.maximum(seconds, 1e-3), 1.0, 3.0)
    return np.where(seconds > 0, np.maximum(kept, step * scale), before)


def follow_rush(
    state: State,
    guests: Guests,
    demand: FloatArray,
    elapsed: FloatArray,
    scarcity: FloatArray,
    settings: Settings,
) -> FloatArray:
    """Return how fast each guest's demand grows now, bytes a second; 0 where nothing is new.

    Small growth is none: demand is never quite still. But one that has run out could not grow by
    more than it was given, and took all of that.
    """
    seconds = known_or(elapsed, 0.0)
    step = np.maximum(known_or(demand - state.demand, 0.0), 0.0)
    out = scarcity >= settings.distress_pressure
    step = np.where(out | (step >= settings.rush_least * guests.max_size), step, 0.0)
    # Samples that lie close together say little about a whole second.
    rate = step / np.maximum(seconds, 0.5)
    return np.minimum(np.where(seconds > 0, rate, 0.0), guests.max_size)


def reserve(
    guests: Guests,
    accounts: Accounts,
    ledger: Ledger,
    demand: FloatArray,
    growth: FloatArray,
    rush: FloatArray,
    brittle: BoolArray,
    settings: Settings,
) -> FloatArray:
    """Return what each guest should keep spare, beside all others of its host."""
    least = settings.reserve_floor + rush * settings.rush_lead
    most = np.maximum(least, settings.reserve_ceiling_share * guests.max_size)
    more = np.maximum(np.minimum(growth, most) - least, 0.0)
    used = np.clip(known_or(demand + least, 0.0), guests.guarantee, guests.ceiling)
    used = np.where(np.isnan(demand), guests.guest_size, used) + ledger.overhead
    hosts = len(accounts.limit)
    room = accounts.limit - accounts.reserved - np.bincount(guests.host, used, minlength=hosts)
    room -= settings.pool_share * accounts.budget
    kept = least
    for these in (brittle, ~brittle):
        lot = np.where(these, more, 0.0)
        wanted = np.maximum(np.bincount(guests.host, lot, minlength=hosts), 1.0)
        part = np.clip(room / wanted, settings.reserve_least_part, 1.0)
        kept = kept + lot * part[guests.host]
        room = room - part * wanted
    return np.asarray(kept)


def find_brittle(
    guests: Guests, statistics: FloatArray, sample_size: FloatArray, settings: Settings
) -> BoolArray:
    """Tell whose programs are killed when memory runs out, for all that is known.

    One that has swapped has somewhere to go. A driver that deflates on OOM leaves the total as it
    is when the balloon grows (Linux), where others take off what the balloon has.
    """
    margin = settings.brittle_margin * guests.max_size
    deflates = statistics[:, Tag.TOTAL_MEMORY] > sample_size + margin
    swaps = statistics[:, Tag.SWAP_OUT] > 0
    return np.asarray(~deflates & ~swaps)


def scarce(idle: FloatArray, reserve: FloatArray | float, settings: Settings) -> FloatArray:
    """Return 0 where `reserve` is idle, or nearly, to 1 where nothing is."""
    spare = known_or(idle / (settings.scarcity_share * reserve), 1.0)
    return np.clip(1.0 - spare, 0.0, 1.0)
