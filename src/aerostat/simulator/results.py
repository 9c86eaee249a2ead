"""What a simulation has found: a row a guest, a row a house, and series where they were recorded.

Adapter; NumPy, no I/O. The measure of harm is *slowdown*: the part of a guest's wanted work that
it lost to stalls, refaults and swapping, its own and its host's, while it was there and after the
warm-up. What the same guest would have lost with all its memory does not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from aerostat.engine.observation import FloatArray, IntArray


def quantile(values: FloatArray, share: float) -> float:
    """Return the smallest value that `share` of all values do not exceed; 0 where there are none.

    So the 99th percentile of fewer than a hundred guests is that of the one that fares worst.
    """
    return float(np.quantile(values, share, method="inverted_cdf")) if len(values) else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class GuestScores:
    """One row a guest. Bytes, seconds and events; means and `lost` are those after the warm-up."""

    house: IntArray
    """In which house it started."""
    max_size: FloatArray
    """At the end."""
    seconds: FloatArray
    """For how long it was there after the warm-up."""
    lost: FloatArray
    """Seconds of wanted work that it lost."""
    slowdown: FloatArray
    """`lost` as a part of `seconds`."""
    oom_kills: FloatArray
    """How often its kernel killed its programs, from the beginning."""
    host_oom_kills: FloatArray
    """How often its host killed it, from the beginning."""
    major_faults: FloatArray
    alloc_stalls: FloatArray
    block_reads: FloatArray
    """Bytes read from its disks."""
    mean_size: FloatArray
    """RAM left to it."""
    mean_held: FloatArray
    """What it held on the host."""
    moves: FloatArray
    """How often it was asked for another size, ..."""
    turns: FloatArray
    """... and how often to grow after it had to shrink, or the other way."""


@dataclass(frozen=True, slots=True, eq=False)
class HouseScores:
    """One row a house. Bytes, seconds and events."""

    names: tuple[str, ...]
    budget: FloatArray
    guests: FloatArray
    """How many started there."""
    p99_slowdown: FloatArray
    mean_slowdown: FloatArray
    oom_kills: FloatArray
    """Of guests' kernels, from the beginning."""
    host_oom_kills: FloatArray
    mean_size: FloatArray
    """RAM left to all guests together, after the warm-up."""
    mean_held: FloatArray
    """What guests held together, after the warm-up."""
    peak_held: FloatArray
    """The most that they held together, from the beginning."""
    over_budget_seconds: FloatArray
    """For how long they held more than the budget, from the beginning."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """What was recorded: a row for each moment in `time`, a column for each guest or house."""

    time: FloatArray
    size: FloatArray
    """RAM left to each guest; NaN while it is not there."""
    held: FloatArray
    balloon: FloatArray
    target: FloatArray
    """What was last asked for."""
    lost: FloatArray
    """Seconds of work that each guest has lost since the beginning."""
    house_held: FloatArray
    house_swapped: FloatArray
    """How much of that was in the host's own swap."""


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """All that a simulation has found."""

    policy: str
    seconds: float
    guest_steps: float
    """How many guests passed how many substeps."""
    keys: tuple[str, ...]
    """The guests' names: that of the house, and a number."""
    guests: GuestScores
    houses: HouseScores
    series: Series | None = None

    @classmethod
    def gathered(cls, parts: Sequence[Self]) -> Self:
        """Return the parts of one world as one."""
        first = parts[0]
        if len(parts) == 1:
            return first
        before = np.cumsum([0, *(len(part.houses.names) for part in parts)])
        guests = {
            field.name: np.concatenate([getattr(part.guests, field.name) for part in parts])
            for field in fields(GuestScores)
            if field.name != "house"
        }
        guests["house"] = np.concatenate(
            [part.guests.house + offset for part, offset in zip(parts, before[:-1], strict=True)]
        )
        houses = {
            field.name: np.concatenate([getattr(part.houses, field.name) for part in parts])
            for field in fields(HouseScores)
            if field.name != "names"
        }
        names = tuple(name for part in parts for name in part.houses.names)
        recorded = [part.series for part in parts if part.series is not None]
        series = {
            field.name: np.concatenate([getattr(each, field.name) for each in recorded], axis=1)
            for field in fields(Series)
            if recorded and field.name != "time"
        }
        return cls(
            policy=first.policy,
            seconds=first.seconds,
            guest_steps=sum(part.guest_steps for part in parts),
            keys=tuple(key for part in parts for key in part.keys),
            guests=GuestScores(**guests),
            houses=HouseScores(names=names, **houses),
            series=Series(time=recorded[0].time, **series) if recorded else None,
        )

    @property
    def p99_slowdown(self) -> float:
        """Return the slowdown that 99 of 100 guests do not exceed, of all houses together."""
        return quantile(self.guests.slowdown, 0.99)

    @property
    def mean_slowdown(self) -> float:
        """Return the mean slowdown of all guests."""
        return float(np.mean(self.guests.slowdown)) if len(self.keys) else 0.0

    @property
    def oom_kills(self) -> float:
        """Return how often anything was killed for want of memory, in guests and on hosts."""
        return float(self.houses.oom_kills.sum() + self.houses.host_oom_kills.sum())

    def of_houses(self, rows: Sequence[int]) -> FloatArray:
        """Return the slowdowns of the guests that started in some houses."""
        return self.guests.slowdown[np.isin(self.guests.house, rows)]
