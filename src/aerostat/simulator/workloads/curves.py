"""What a guest wants over time, as curves of straight lines that add up. Pure, NumPy.

A workload is put together from a level, its wandering and its bumps; where one of them bends, the
plan has a moment. Times are seconds, in tenths; values are what the caller takes them for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aerostat.model.plans import Moment

FloatArray = npt.NDArray[np.float64]

# A jump takes this long: two moments of a plan are never at the same time.
_INSTANT = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A value over time: straight between the points, and as at the outermost ones beyond."""

    at: FloatArray
    """Seconds, ever later."""
    value: FloatArray

    def over(self, times: FloatArray) -> FloatArray:
        """Return the values at `times`."""
        return np.interp(times, self.at, self.value)

    def __add__(self, other: "Curve") -> "Curve":
        """Return the sum, which bends wherever one of them does."""
        return total([self, other])

    def __mul__(self, factor: float) -> "Curve":
        """Return `factor` times the curve."""
        return Curve(self.at, self.value * factor)

    def within(self, low: float, high: float) -> "Curve":
        """Return the curve with its points between `low` and `high`."""
        return Curve(self.at, np.clip(self.value, low, high))


def level(value: float) -> Curve:
    """Return a value that never changes."""
    return Curve(np.zeros(1), np.array([value]))


def total(curves: Iterable[Curve]) -> Curve:
    """Return the sum of `curves`."""
    parts = list(curves)
    at = np.unique(np.concatenate([np.zeros(1), *(part.at for part in parts)]))
    value = np.zeros(len(at))
    for part in parts:
        value += part.over(at)
    return Curve(at, value)


def path(points: Iterable[tuple[float, float]]) -> Curve:
    """Return the curve through `points` (time, value), which are in order of their times.

    Where two are closer than a plan can have them, the later one moves.
    """
    at: list[float] = []
    value: list[float] = []
    for when, what in sorted(points, key=lambda point: point[0]):
        earliest = at[-1] + _INSTANT if at else when
        at.append(round(float(max(when, earliest)), 1))
        value.append(what)
    return Curve(np.array(at), np.array(value))


def bump(at: float, height: float, *, rise: float = 0, stay: float = 0, fall: float = 0) -> Curve:
    """Return `height` from `at` on for `stay` seconds, after a rise and before a fall."""
    begin = max(at, 0.0)
    top = begin + max(rise, _INSTANT)
    end = top + max(stay, _INSTANT)
    gone = end + max(fall, _INSTANT)
    return path([(begin, 0.0), (top, height), (end, height), (gone, 0.0)])


def wander(
    rng: np.random.Generator, seconds: float, *, mean: float, spread: float, every: float
) -> Curve:
    """Return a value that wanders around `mean`, with standard deviation `spread`.

    It bends every `every` seconds, and forgets where it was in about four of these.
    """
    count = int(seconds / every) + 2
    steps = rng.normal(size=count)
    kept, new = 0.75, (1 - 0.75**2) ** 0.5
    value = [float(steps[0])]
    for step in steps[1:].tolist():
        value.append(kept * value[-1] + new * step)
    at = np.round(np.arange(count) * every, 1)
    return Curve(at, np.maximum(mean + spread * np.array(value), 0.0))


def arrivals(rng: np.random.Generator, seconds: float, *, gap: float) -> list[float]:
    """Return the moments of something that happens every `gap` seconds on average, at any time."""
    times = []
    now = float(rng.exponential(gap))
    while now < seconds:
        times.append(now)
        now += float(rng.exponential(gap))
    return times


def moments(seconds: float, columns: Mapping[str, Curve]) -> tuple[Moment, ...]:
    """Return a plan's moments from second 0 to `seconds`: one wherever a column bends.

    Of a column that is not given, nothing is wanted.
    """
    bends = np.concatenate([np.zeros(1), *(curve.at for curve in columns.values())])
    at = np.unique(bends[bends <= seconds])
    table = {name: curve.over(at).tolist() for name, curve in columns.items()}
    nothing = [0.0] * len(at)
    rows = zip(at.tolist(), *(table.get(name, nothing) for name in Moment._fields[1:]), strict=True)
    return tuple(map(Moment._make, rows))
