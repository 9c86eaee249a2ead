"""What a manager gets to see of guests' statistics: sampled, late, and sometimes not at all.

Adapter; NumPy, no I/O. What a driver tells is its dialect (`aerostat.model.dialects`). It is asked
every `period` seconds, each guest's at a moment of its own; what it says arrives `delay` seconds
later, or with probability `loss` never. Which samples are lost depends on the seed and the guest
alone. What the hypervisor itself knows (size, held, disk reads) is not sampled: that is fresh
whenever somebody looks.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aerostat.engine.observation import STATISTICS, BoolArray, FloatArray
from aerostat.errors import UsageError
from aerostat.model.dialects import Dialect, tell
from aerostat.simulator.chance import Identities, uniform

# Moments of `uniform` that no sample has.
_PHASE = -1


@dataclass(frozen=True, slots=True)
class Sampling:
    """How statistics are sampled, seconds and a probability."""

    period: float = 1.0
    delay: float = 0.05
    loss: float = 0.0

    def __post_init__(self) -> None:
        """Check the figures. Raises `UsageError`."""
        if not 0 < self.period < np.inf or not 0 <= self.delay < np.inf:
            raise UsageError("a sampling period is above 0, and a delay not below it")
        if not 0 <= self.loss <= 1:
            raise UsageError(f"{self.loss} is no probability: samples are lost with one of 0 to 1")


class Drivers:
    """The balloon drivers of a block's guests, and what they tell.

    `dialect` is what all those tell whose own dialect is the usual one; liars lie in it.
    Raises `UsageError` for a dialect that there is not.
    """

    def __init__(self, own: Sequence[str], dialect: str | None) -> None:
        told = [_spoken(each, dialect) for each in own]
        self._groups = {
            spoken: np.array([row for row, each in enumerate(told) if each == spoken])
            for spoken in dict.fromkeys(told)
        }

    def tell(self, full: FloatArray, now: float) -> FloatArray:
        """Return what is sent at `now` by guests that in full would send this; NaN is not sent."""
        if len(self._groups) == 1:
            (spoken,) = self._groups
            return _told(full, spoken, now)
        table = np.empty_like(full)
        for spoken, rows in self._groups.items():
            table[rows] = _told(full[rows], spoken, now)
        return table


Spoken = tuple[Dialect, ...]
"""Dialects, each of which tells what is left of what the one before it tells."""

_USUAL = Dialect.LINUX


def _spoken(own: str, common: str | None) -> Spoken:
    mine = _dialect(own)
    if common is None or mine not in {_USUAL, Dialect.LIAR}:
        return (mine,)
    return (_dialect(common),) if mine is _USUAL else (mine, _dialect(common))


def _dialect(name: str) -> Dialect:
    try:
        return Dialect(name)
    except ValueError:
        names = ", ".join(dialect.value for dialect in Dialect)
        raise UsageError(f"no dialect is called {name!r}; there is {names}") from None


def _told(full: FloatArray, spoken: Spoken, now: float) -> FloatArray:
    for dialect in spoken:
        if dialect is not _USUAL:
            full = tell(full, dialect, now)
    return full


class _Sample(NamedTuple):
    made: float
    of: BoolArray
    statistics: FloatArray


class Sampler:
    """The samples of the guests of one block, as they arrive."""

    def __init__(self, identities: Identities, sampling: Sampling, tick: float, seed: int) -> None:
        self._identities = identities
        self._sampling = sampling
        self._tick = tick
        self._seed = seed
        self._on_their_way: deque[_Sample] = deque()
        phase = uniform(identities, seed, _PHASE) * sampling.period
        # Who is asked at every tick has no moment of its own.
        self._always = sampling.period <= tick
        self._due = np.where(self._always, 0.0, phase)
        self.statistics = np.full((len(identities), STATISTICS), np.nan)
        """What has arrived last of each guest."""
        self.time = np.full(len(identities), np.nan)
        """When that was made."""

    @property
    def lag(self) -> float:
        """Return how long after a tick a manager decides: its samples are on their way so long."""
        return self._sampling.delay % self._tick

    def ask(self, now: float, present: BoolArray) -> BoolArray:
        """Return which guests send a sample now that will arrive."""
        asked = present & (self._due <= now)
        if not self._always:
            period = self._sampling.period
            missed = np.floor((now - self._due) / period) + 1.0
            self._due = np.where(self._due <= now, self._due + missed * period, self._due)
        if self._sampling.loss:
            luck = uniform(self._identities, self._seed, round(now / self._tick))
            asked &= luck >= self._sampling.loss
        return asked

    def send(self, now: float, of: BoolArray, statistics: FloatArray) -> None:
        """Let guests send their statistics, and take in what has arrived by the next decision."""
        self._on_their_way.append(_Sample(now, of, statistics))
        while self._on_their_way:
            sample = self._on_their_way[0]
            if sample.made + self._sampling.delay > now + self.lag + 1e-9:
                return
            self._on_their_way.popleft()
            if sample.of.all():
                self.statistics = sample.statistics
                self.time = np.full(len(sample.of), sample.made)
            else:
                self.statistics = np.where(sample.of[:, None], sample.statistics, self.statistics)
                self.time = np.where(sample.of, sample.made, self.time)
