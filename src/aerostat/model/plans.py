"""What guests want over time, as breakpoints: the plans that the simulator's guests live by. Pure.

Between two moments of a plan everything changes in a straight line; a jump is two moments close
together. Before its first moment a plan is as there, after its last as there. Times are seconds on
the simulator's clock, amounts bytes, rates bytes a second.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from aerostat.errors import UsageError
from aerostat.model.columns import Column, Table, whole
from aerostat.model.demand import Demand
from aerostat.model.pace import PACE, Pace
from aerostat.units import MIB

# Beyond it a few pages would be all that is read, and each miss takes as many multiplications.
_MOST_SKEW = 8.0


class Moment(NamedTuple):
    """What a guest's programs want at one moment."""

    at: float
    hold: float = 0.0
    """Anonymous memory in all, ..."""
    cold: float = 0.0
    """... and how much of it is never looked at; the rest is the working set."""
    mapped: float = 10.0 * MIB
    """Files in constant use: programs themselves, libraries, mapped data."""
    read_rate: float = 0.0
    """Reading of other files, ..."""
    read_span: float = 0.0
    """... of which there are so many in all, ..."""
    skew: float = 1.0
    """... and how unevenly they are read: see `Demand.skew`."""
    write_rate: float = 0.0
    """Writing of files."""


#: The columns of `Plans.wants`, in this order.
WANTS = Moment._fields[1:]
Indices = npt.NDArray[np.int64]

HOLD, COLD, MAPPED, READ_RATE, READ_SPAN, SKEW, WRITE_RATE = range(len(WANTS))


@dataclass(frozen=True, slots=True)
class Plan:
    """What one guest wants: moments in order of their time, at least one."""

    moments: Sequence[Moment]
    grow_rate: float = 128.0 * MIB
    """How fast its programs take memory at most: they compute with what they take."""
    arrives: float = 0.0
    departs: float = math.inf
    """It is there, and time passes for it, from `arrives` on and before `departs`."""


class Peak(NamedTuple):
    """The largest wants of each guest in some time, each by itself; bytes."""

    hold: Column
    working: Column
    """`hold` without what is cold."""
    mapped: Column
    read_span: Column
    together: Column
    """The working set, files in constant use and files that are read, at the same moment."""


class Arrays(NamedTuple):
    """The columns of `Plans`, as compiled code takes them."""

    first: Indices
    end: Indices
    """Where the moments of the next guest begin."""
    at: Column
    wants: Table
    grow_rate: Column
    arrives: Column
    departs: Column


@dataclass(frozen=True, slots=True, eq=False)
class Plans:
    """The plans of many guests, one element a guest, their moments one after another."""

    first: Indices
    """Where the moments of each guest begin in `at` and `wants`, ..."""
    count: Indices
    """... and how many they are."""
    at: Column
    """The time of each moment; within a guest never falling."""
    wants: Table
    """Shape (moments, 7): the fields of `Moment` after `at`."""
    grow_rate: Column
    arrives: Column
    departs: Column

    @classmethod
    def of(cls, plans: Sequence[Plan]) -> Self:
        """Return these plans, one a guest. Raises `UsageError` where moments are out of order."""
        count = np.array([len(plan.moments) for plan in plans], np.int64)
        table = np.array([moment for plan in plans for moment in plan.moments], np.float64)
        table = table.reshape(-1, len(Moment._fields))
        first = np.cumsum(count) - count
        if (count == 0).any():
            raise UsageError("a plan has at least one moment")
        if not np.isfinite(table).all() or (table[:, 1:] < 0).any():
            raise UsageError("what a plan wants is finite, and nothing of it negative")
        if (table[:, 1 + SKEW] > _MOST_SKEW).any():
            raise UsageError(f"files are read with a skew of at most {_MOST_SKEW:g}")
        backward = np.diff(table[:, 0]) < 0
        backward[first[1:] - 1] = False
        if backward.any():
            raise UsageError("the moments of a plan are in the order of their time")
        return cls(
            first,
            count,
            np.ascontiguousarray(table[:, 0]),
            np.ascontiguousarray(table[:, 1:]),
            *(
                np.array([getattr(plan, name) for plan in plans], np.float64)
                for name in ("grow_rate", "arrives", "departs")
            ),
        )

    def arrays(self) -> Arrays:
        """Return all columns, hardly any of them copied."""
        return Arrays(
            self.first,
            self.first + self.count,
            self.at,
            self.wants,
            self.grow_rate,
            self.arrives,
            self.departs,
        )

    def __len__(self) -> int:
        """Return the number of guests."""
        return len(self.first)

    def rows(self, which: npt.ArrayLike) -> Self:
        """Return the plans of the guests that an index, a list or a mask names, in that order."""
        chosen = np.arange(len(self))[np.asarray(which)]
        count = self.count[chosen]
        first = np.cumsum(count) - count
        moments = np.repeat(self.first[chosen] - first, count) + np.arange(count.sum())
        return type(self)(
            first,
            count,
            self.at[moments],
            self.wants[moments],
            self.grow_rate[chosen],
            self.arrives[chosen],
            self.departs[chosen],
        )

    def present(self, now: float) -> npt.NDArray[np.bool_]:
        """Tell which guests are there at this moment."""
        return (self.arrives <= now) & (now < self.departs)

    def wanted(self, now: float) -> Table:
        """Return what guests want at this moment, shape (guests, 7), as `WANTS` has it."""
        before = self._last_before(now)
        after = np.minimum(before + 1, self.first + self.count - 1)
        length = self.at[after] - self.at[before]
        passed = np.clip(now - self.at[before], 0.0, length)
        share = np.divide(passed, length, out=np.zeros(len(self)), where=length > 0)
        wants = self.wants[before]
        wants += (self.wants[after] - wants) * share[:, np.newaxis]
        return wants

    def demand(self, now: float, dt: float, pace: Pace = PACE) -> Demand:
        """Return what guests want in the `dt` seconds from `now` on; nothing of those not there."""
        wants = self.wanted(now)
        wants *= self.present(now)[:, np.newaxis]
        hold = whole(wants[:, HOLD])
        cold = whole(np.minimum(wants[:, COLD], hold))
        return Demand.of(
            len(self),
            hold=hold,
            growth=self.grow_rate * dt,
            touched=(hold - cold) * (dt / pace.round),
            cold=cold,
            mapped=wants[:, MAPPED],
            read=wants[:, READ_RATE] * dt,
            read_span=wants[:, READ_SPAN],
            skew=wants[:, SKEW],
            written=wants[:, WRITE_RATE] * dt,
        )

    def peak(self, since: float, until: float) -> Peak:
        """Return the largest wants of each guest from `since` to `until`, both included.

        Those who are not there in that time want nothing. What lies between two moments is on a
        straight line, so that the ends and the moments between them are enough.
        """
        inside = np.maximum(self._last_before(since), self.first)
        last = self._last_before(until)
        guests = np.arange(len(self))
        count = last - inside
        owner = np.repeat(guests, count)
        starts = np.cumsum(count) - count
        moments = np.repeat(inside + 1 - starts, count) + np.arange(count.sum())
        wants = np.concatenate([self.wanted(since), self.wanted(until), self.wants[moments]])
        owner = np.concatenate([guests, guests, owner])
        there = (self.arrives <= until) & (since < self.departs)
        working = np.maximum(wants[:, HOLD] - wants[:, COLD], 0.0)
        together = working + wants[:, MAPPED] + wants[:, READ_SPAN]

        def largest(values: Column) -> Column:
            most = np.zeros(len(self))
            np.maximum.at(most, owner, values)
            return most * there

        return Peak(
            largest(wants[:, HOLD]),
            largest(working),
            largest(wants[:, MAPPED]),
            largest(wants[:, READ_SPAN]),
            largest(together),
        )

    def _last_before(self, now: float) -> Indices:
        """Return the last moment at or before `now` of each guest, or its first."""
        low, high = self.first.copy(), self.first + self.count
        # Halves all guests' ranges at once.
        while (wide := high - low > 1).any():
            middle = (low + high) // 2
            passed = wide & (self.at[np.minimum(middle, len(self.at) - 1)] <= now)
            low = np.where(passed, middle, low)
            high = np.where(wide & ~passed, middle, high)
        return low
