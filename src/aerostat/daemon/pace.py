"""How often each guest is looked at. Pure.

A guest whose figures do not move is looked at ever less often: after each look that brought no
news it rests twice as long, up to eight intervals, and never longer than half the time for which
its figures count as fresh. One that changes, that is moved, that lacks memory or about which
something is wrong is looked at in every regular tick.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from aerostat.balloon.statistics import Tag
from aerostat.daemon.thinking import Step
from aerostat.engine.conditions import Condition
from aerostat.engine.observation import BoolArray, FloatArray, Guests
from aerostat.engine.plan import Plan, Reason
from aerostat.units import MIB

_MOST_INTERVALS = 8
_PART_OF_FRESH = 0.5

# What counts as news: a change of this part of the maximum, and of at least so much.
_NEWS_PART = 0.01
_NEWS_LEAST = 2.0 * MIB
_FIGURES = 4
# Below this a guest does not feel anything (`Settings.harm_pressure` is far above it).
_PRESSURE = 0.05

# At rest in these; in all others somebody waits, suffers, or is on the way.
_RESTING = (Reason.CONTENT, Reason.NOT_NEEDED, Reason.ALONE)


class Pace:
    """When each guest is looked at next, counted in regular ticks (see `waking`)."""

    def __init__(self, interval: float, fresh_for: float) -> None:
        self._interval = interval
        # A tick comes only so often: what is due between two of them is looked at in the later one.
        self._longest = max(1, min(_MOST_INTERVALS, int(_PART_OF_FRESH * fresh_for / interval)))
        self._cycle = 0
        self._began = 0.0
        # By guest: the tick in which it is due, how many it rests, and its figures at that look.
        self._due: dict[str, int] = {}
        self._keys: tuple[str, ...] = ()
        self._rests = np.zeros(0, dtype=np.int64)
        self._figures = np.zeros((0, _FIGURES))

    def begin(self, cycle: int, now: float) -> None:
        """Take note that a tick begins at `now`: the regular one `cycle`, or an early one after it.

        Times are monotonic seconds.
        """
        if cycle != self._cycle:
            self._cycle, self._began = cycle, now

    def is_due(self, key: str) -> bool:
        """Tell whether the guest is to be looked at in this tick."""
        return self._due.get(key, self._cycle) <= self._cycle

    @property
    def schedule(self) -> "Schedule":
        """When each guest is looked at next, as it is known now."""
        return Schedule(self._due, self._cycle, self._began, self._interval)

    def hurry(self) -> None:
        """Have all guests looked at in the next tick."""
        self._due = {}
        self._rests[:] = 0

    def learn(self, step: Step) -> None:
        """Say when each guest of a step that this tick took is looked at next."""
        guests, plan = step.observation.guests, step.plan
        self._follow(plan.keys)
        due = np.array([self._due.get(key, self._cycle) for key in plan.keys], dtype=np.int64)
        looked, calm = due <= self._cycle, _calm(plan)
        figures = _figures(guests)
        news = ~calm | _are_news(self._figures, figures, guests.max_size)
        self._rests[looked] = np.where(news, 1, np.clip(2 * self._rests, 1, self._longest))[looked]
        due[looked] = self._cycle + self._rests[looked]
        self._figures[looked] = figures[looked]
        # In trouble since it was looked at: there is no need to wait until it has rested.
        trouble = ~looked & ~calm
        self._rests[trouble] = 1
        due[trouble] = np.minimum(due[trouble], self._cycle + 1)
        self._due = dict(zip(plan.keys, due.tolist(), strict=True))

    def _follow(self, keys: tuple[str, ...]) -> None:
        """Bring what is remembered in line with the guests that there are now."""
        if keys == self._keys:
            return
        rows = {key: row for row, key in enumerate(self._keys)}
        old = np.array([rows.get(key, -1) for key in keys], dtype=np.int64)
        known = old >= 0
        rests, figures = np.zeros(len(keys), dtype=np.int64), np.full((len(keys), _FIGURES), np.nan)
        rests[known], figures[known] = self._rests[old[known]], self._figures[old[known]]
        self._keys, self._rests, self._figures = keys, rests, figures


class Schedule(NamedTuple):
    """In which tick each guest is due, at the regular tick `cycle`, which began at `began`."""

    due: Mapping[str, int]
    cycle: int
    began: float
    interval: float

    def next_look(self, key: str, now: float) -> float:
        """Return in how many seconds a guest is looked at again."""
        ticks = self.due.get(key, self.cycle) - self.cycle
        return max(ticks * self.interval - (now - self.began), 0.0)


def _calm(plan: Plan) -> BoolArray:
    """Tell about which guests nothing is wrong, under way or wanted."""
    calm = np.isin(plan.condition, (Condition.FRESH, Condition.EXEMPT))
    calm &= ~(plan.pressure >= _PRESSURE) & np.isnan(plan.asked) & np.isnan(plan.target_size)
    return np.asarray(calm & np.isin(plan.reason, _RESTING), dtype=np.bool_)


def _figures(guests: Guests) -> FloatArray:
    """Return the figures that matter, one row a guest."""
    columns = [guests.guest_size, guests.held, guests.statistics[:, Tag.AVAILABLE_MEMORY]]
    columns.append(guests.statistics[:, Tag.FREE_MEMORY])
    return np.stack(columns, axis=1)


def _are_news(before: FloatArray, after: FloatArray, max_size: FloatArray) -> BoolArray:
    """Tell which guests' figures have changed."""
    least = np.maximum(max_size * _NEWS_PART, _NEWS_LEAST)
    # Not known then and now is no news; not known once is.
    changed = np.isnan(before) != np.isnan(after)
    changed |= np.abs(after - before) >= least[:, np.newaxis]
    return np.asarray(changed.any(axis=1), dtype=np.bool_)
