"""How often each guest is looked at. Pure.

A guest whose figures do not move is looked at ever less often: after each look that brought no
news it rests twice as long, up to eight intervals, and never longer than half the time for which
its figures count as fresh. One that changes, that is moved, that lacks memory or about which
something is wrong is looked at in every tick.
"""

from collections.abc import Mapping
from math import isnan

import numpy as np

from aerostat.balloon.statistics import Tag
from aerostat.daemon.thinking import Step
from aerostat.engine.conditions import Condition
from aerostat.engine.observation import BoolArray, FloatArray, Guests
from aerostat.engine.plan import Plan, Reason
from aerostat.units import MIB

_MOST_INTERVALS = 8
_PART_OF_FRESH = 0.5
# Timers are late by a little: a guest that is due within this part of an interval is due now.
_SLACK = 0.25

# What counts as news: a change of this part of the maximum, and of at least so much.
_NEWS_PART = 0.01
_NEWS_LEAST = 2.0 * MIB
# Below this a guest does not feel anything (`Settings.harm_pressure` is far above it).
_PRESSURE = 0.05

# At rest in these; in all others somebody waits, suffers, or is on the way.
_RESTING = (Reason.CONTENT, Reason.NOT_NEEDED, Reason.ALONE)


class Pace:
    """When each guest is looked at next. Times are monotonic seconds."""

    def __init__(self, interval: float, fresh_for: float) -> None:
        self._interval = interval
        # A tick comes only so often: what is due between two of them is looked at in the later one.
        most = min(_MOST_INTERVALS * interval, _PART_OF_FRESH * fresh_for)
        self._longest = max(interval, float(np.floor(most / interval)) * interval)
        self._rests: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._figures: dict[str, tuple[float, ...]] = {}

    def is_due(self, key: str, now: float) -> bool:
        """Tell whether the guest is to be looked at in a tick at `now`."""
        return self._due.get(key, now) - now <= _SLACK * self._interval

    def next_look(self, key: str, now: float) -> float:
        """Return in how many seconds that is."""
        return max(self._due.get(key, now) - now, 0.0)

    def hurry(self, keys: Mapping[str, object] | None = None) -> None:
        """Have these guests, or all, looked at in the next tick."""
        for key in list(self._due) if keys is None else keys:
            self._due.pop(key, None)
            self._rests.pop(key, None)

    def learn(self, step: Step, now: float) -> None:
        """Say when each guest of a step that was taken at `now` is looked at next."""
        guests, plan = step.observation.guests, step.plan
        calm = _calm(plan)
        figures = _figures(guests)
        least = np.maximum(guests.max_size * _NEWS_PART, _NEWS_LEAST)
        known, self._figures = self._figures, {}
        for row, key in enumerate(plan.keys):
            before, after = known.get(key), tuple(figures[row].tolist())
            if self.is_due(key, now):
                news = not calm[row] or _is_news(before, after, float(least[row]))
                longer = min(2 * self._rests.get(key, self._interval / 2), self._longest)
                rest = self._interval if news else longer
                self._rests[key], self._due[key], self._figures[key] = rest, now + rest, after
                continue
            self._figures[key] = before or after
            if not calm[row]:  # since it was looked at: no need to wait until it has rested
                self._rests[key] = self._interval
                self._due[key] = min(self._due[key], now + self._interval)
        for key in self._due.keys() - self._figures.keys():
            del self._due[key], self._rests[key]


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


def _is_news(before: tuple[float, ...] | None, after: tuple[float, ...], least: float) -> bool:
    if before is None:
        return True
    # Not known then and now is no news; not known once is.
    return any(
        isnan(old) != isnan(new) or abs(new - old) >= least
        for old, new in zip(before, after, strict=True)
    )
