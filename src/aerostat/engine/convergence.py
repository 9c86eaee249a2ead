"""How each balloon moves: whether it gets on with what was asked, and how fast it is.

A balloon gets on when its size has come nearer to what was asked by enough: by what counts as
arrived, and by a fair part of what this balloon usually does in that time. So one that is slow by
nature is not stuck, and one that crawls far below its own speed is. The speed is learned from
what it does: from the way that it made while it was under way, and, where it was there before
anybody looked again, as being at least that. A single odd figure moves it by little.
"""

from typing import NamedTuple

import numpy as np

from aerostat.engine.accounts import SETTLED, Ledger
from aerostat.engine.observation import BoolArray, FloatArray, Guests, known_or
from aerostat.engine.settings import Settings
from aerostat.engine.state import State

_SAME_LOOK = 1.5
"""Who arrived within this many steps may have been there long before."""


class Progress(NamedTuple):
    """One row a guest."""

    asked_time: FloatArray
    """When the balloon was asked, or last got on; NaN at rest."""
    asked_from: FloatArray
    """The guest's size then."""
    speed_up: FloatArray
    speed_down: FloatArray
    unmoved: BoolArray
    """It was asked to shrink, and has not got on for longer than it may take."""
    stalled: BoolArray
    """It was asked to grow, and has not got on for longer than it may take."""
    moved: BoolArray
    """Its size has changed since the last step, whoever wanted that."""


def follow_balloons(
    state: State, now: float, guests: Guests, ledger: Ledger, settings: Settings
) -> Progress:
    """Return how each balloon got on. `state` is aligned with `guests`, which are sane."""
    down = state.asked < state.asked_from
    way = np.where(down, -1.0, 1.0) * (guests.guest_size - state.asked_from)
    since = np.minimum(state.asked_time, now)
    elapsed = now - since
    speed = np.where(down, state.speed_down, state.speed_up)
    own_pace = settings.crawl_share * known_or(speed, 0.0) * elapsed
    counts = way >= np.fmax(SETTLED, own_pace)
    learned = _learn(state, now, guests, ledger, speed, way, elapsed, counts, settings)
    asked_time = np.where(counts, now, since)
    waited = now - asked_time
    speed_up = np.where(down, state.speed_up, learned)
    speed_down = np.where(down, learned, state.speed_down)
    return Progress(
        asked_time=np.where(np.isnan(ledger.asked), np.nan, asked_time),
        asked_from=np.where(counts, guests.guest_size, state.asked_from),
        speed_up=speed_up,
        speed_down=speed_down,
        unmoved=(waited > _patience(speed_down, settings)) & (ledger.asked < guests.guest_size),
        stalled=(waited > _patience(speed_up, settings)) & (ledger.asked > guests.guest_size),
        moved=np.abs(guests.guest_size - state.guest_size) > SETTLED,
    )


def feasible(speed: FloatArray, settings: Settings) -> FloatArray:
    """Return how much a balloon may be asked to take at once; infinite for an unknown speed.

    Twice what it does in a reaction time: the speed may be a lower bound, and what is asked must
    be able to show it.
    """
    once = 2.0 * settings.reaction_time * speed
    return np.where(np.isnan(speed), np.inf, np.fmax(once, settings.smallest_move))


def doubted(speed: FloatArray, stuck: BoolArray, settings: Settings) -> FloatArray:
    """Return the speeds of balloons, those that are stuck as slow that they are tried gently."""
    slow = settings.smallest_move / (2.0 * settings.reaction_time)
    return np.where(stuck, np.fmin(speed, slow), speed)


def _patience(speed: FloatArray, settings: Settings) -> FloatArray:
    """Return for how long a balloon may seem not to move."""
    own = settings.patience_steps * SETTLED / np.maximum(speed, 1.0)
    own = known_or(own, 0.0)
    return np.clip(own, settings.patience, settings.longest_patience)


def _learn(
    state: State,
    now: float,
    guests: Guests,
    ledger: Ledger,
    speed: FloatArray,
    way: FloatArray,
    elapsed: FloatArray,
    counts: BoolArray,
    settings: Settings,
) -> FloatArray:
    """Return the speed of each balloon in the direction in which it was asked to go."""
    arrived = ~np.isnan(state.asked) & np.isnan(ledger.asked)
    seen = (way >= SETTLED) & (elapsed > 0) & (counts | arrived)
    found = np.divide(way, elapsed, out=np.full_like(way, np.nan), where=seen)
    at_least = arrived & (elapsed <= _SAME_LOOK * (now - state.stepped))
    # A short way that took one look says nothing about a balloon of which nothing is known.
    long_way = way >= 0.5 * settings.shrink_rate * guests.max_size
    bound = np.where(np.isnan(speed) & ~long_way, np.nan, np.fmax(speed, found))
    ratio = np.clip(found / np.maximum(speed, 1.0), 0.25, 4.0)
    nearer = np.where(np.isnan(speed), found, speed * ratio**settings.speed_weight)
    return np.where(seen, np.where(at_least, bound, nearer), speed)
