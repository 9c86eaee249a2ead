"""Rates from counters: what grew between a guest's two newest samples. Pure.

A counter that fell was reset (the guest restarted): its rate is not known until the next sample.
"""

from collections.abc import Mapping
from typing import NamedTuple

from aerostat.balloon.statistics import Tag

_COUNTERS = (Tag.MAJOR_FAULTS, Tag.SWAP_IN, Tag.SWAP_OUT)

# Two samples nearer than this give no rate that means anything.
_SHORTEST_SPAN = 0.05


class Rates(NamedTuple):
    """Faults a second, and bytes a second; None for not known."""

    major_faults: float | None = None
    swap_in: float | None = None
    swap_out: float | None = None


class RateMeter:
    """The rates of one guest."""

    def __init__(self) -> None:
        self._time: float | None = None
        self._counters: dict[int, int] = {}
        self.rates = Rates()

    def add(self, time: float | None, statistics: Mapping[int, int]) -> None:
        """Take in the sample made at `time` (monotonic seconds); the same one again is no news."""
        if time is None:
            return
        if self._time is not None:
            span = time - self._time
            if 0 <= span < _SHORTEST_SPAN:
                return
            self.rates = Rates(*(self._rate(tag, statistics, span) for tag in _COUNTERS))
        self._time = time
        self._counters = {tag: statistics[tag] for tag in _COUNTERS if tag in statistics}

    def _rate(self, tag: Tag, statistics: Mapping[int, int], span: float) -> float | None:
        before, after = self._counters.get(tag), statistics.get(tag)
        if before is None or after is None or after < before or span <= 0:
            return None
        return (after - before) / span
