"""Rates from counters: what grew between a guest's two newest samples. Pure.

A counter that fell was reset (the guest restarted): its rate is not known until the next sample.
"""

from collections.abc import Mapping
from typing import NamedTuple

from aerostat.balloon.statistics import Tag
from aerostat.hypervisors.base import Reading

_COUNTERS = (Tag.MAJOR_FAULTS, Tag.SWAP_IN, Tag.SWAP_OUT)
_BYTES_READ = 0

# Two samples nearer than this give no rate that means anything.
_SHORTEST_SPAN = 0.05


class Rates(NamedTuple):
    """Faults a second, and bytes a second; None for not known."""

    major_faults: float | None = None
    swap_in: float | None = None
    swap_out: float | None = None
    block_reads: float | None = None


UNKNOWN = Rates()


class RateMeter:
    """The rates of one guest: `rates`, as they are known now."""

    def __init__(self) -> None:
        self.rates = UNKNOWN
        self._reading: Reading | None = None
        self._guest = _Counters()
        self._disks = _Counters()

    def add(self, reading: Reading) -> None:
        """Take in a reading; the same sample again is no news."""
        if reading is self._reading:
            return
        self._reading = reading
        statistics = reading.statistics
        if reading.sampled_at is not None:
            counters = {int(tag): statistics[tag] for tag in _COUNTERS if tag in statistics}
            self._guest.add(reading.sampled_at, counters)
        if reading.block_reads is not None:
            self._disks.add(reading.taken_at, {_BYTES_READ: reading.block_reads.bytes})
        major_faults, swap_in, swap_out = (self._guest.rates.get(tag) for tag in _COUNTERS)
        self.rates = Rates(major_faults, swap_in, swap_out, self._disks.rates.get(_BYTES_READ))


class _Counters:
    """Counters that are read at the same moments, and what they grow by in a second."""

    def __init__(self) -> None:
        self.rates: dict[int, float] = {}
        self._time: float | None = None
        self._values: Mapping[int, int] = {}

    def add(self, time: float, values: Mapping[int, int]) -> None:
        span = 0.0 if self._time is None else time - self._time
        if self._time is not None and 0 <= span < _SHORTEST_SPAN:
            return
        before = self._values
        self.rates = {
            counter: (value - before[counter]) / span
            for counter, value in values.items()
            if span > 0 and counter in before and value >= before[counter]
        }
        self._time, self._values = time, values
