"""How far apart the counts of real guests and of the model are. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from aerostat.testing.trials.calibration.counts import FLOORS, Counts
from aerostat.testing.trials.calibration.exercises import Exercise


class Pair(NamedTuple):
    """One count of one exercise."""

    exercise: str
    name: str
    real: float
    """The median of all runs, ..."""
    least: float
    """... and the least ..."""
    most: float
    """... and the most that a run came to."""
    modelled: float

    @property
    def says_something(self) -> bool:
        """Tell whether either is more than what happens by itself."""
        return max(self.real, self.modelled) > FLOORS[self.name]

    @property
    def ratio(self) -> float:
        """Return how many times the real count the modelled one is, small ones not taken so."""
        floor = FLOORS[self.name]
        return max(self.modelled, floor) / max(self.real, floor)

    @property
    def factor(self) -> float:
        """Return how far apart the two are, one way or the other: 1 or more."""
        return max(self.ratio, 1 / self.ratio)

    @property
    def within(self) -> bool:
        """Tell whether the model is within what the runs themselves were."""
        return self.least <= self.modelled <= self.most


class Summary(NamedTuple):
    """All pairs that say something, in short."""

    pairs: int
    median: float
    """The median factor."""
    within_a_quarter: float
    within_two: float
    """The share of pairs with a factor of at most 1.25, and of at most 2."""
    worst: Pair | None


def pairs(exercise: Exercise, runs: Sequence[Counts], modelled: Counts) -> list[Pair]:
    """Return all counts of an exercise that both have."""
    found = []
    for name in FLOORS:
        real = [run.values[name] for run in runs]
        found.append(
            Pair(exercise.name, name, median(real), min(real), max(real), modelled.values[name])
        )
    return found


def summary(found: Iterable[Pair]) -> Summary:
    """Return how far apart the pairs are that say something."""
    telling = sorted((pair for pair in found if pair.says_something), key=lambda pair: pair.factor)
    if not telling:
        return Summary(0, 1.0, 1.0, 1.0, None)
    count = len(telling)
    return Summary(
        count,
        median(pair.factor for pair in telling),
        sum(pair.factor <= 1.25 for pair in telling) / count,
        sum(pair.factor <= 2 for pair in telling) / count,
        telling[-1],
    )


def by_name(found: Iterable[Pair]) -> Mapping[str, list[Pair]]:
    """Return the pairs of each count."""
    groups: dict[str, list[Pair]] = {}
    for pair in found:
        groups.setdefault(pair.name, []).append(pair)
    return groups
