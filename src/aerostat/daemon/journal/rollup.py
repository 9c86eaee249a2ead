"""Rolling up: from ticks to a row a minute for each guest and host, with least, mean and highest.

Fed with one tick after another; what is finished comes out as rows to be merged into the tables
of `journal_schema` (a quarter of an hour is fifteen such rows, merged). Pure.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from aerostat.balloon.statistics import Tag
from aerostat.daemon.journal.recording import Decided, Observation
from aerostat.daemon.journal.schema import MINUTE, OF_GUESTS, OF_HOSTS, Figures
from aerostat.engine.observation import FloatArray

GROWTH_TAGS = [Tag[name.upper()] for name in OF_GUESTS.growths]

Row = tuple[float | int | str | None, ...]
"""Who, the start (wall seconds), how many ticks, and the values in the order of `Figures`."""


@dataclass(slots=True)
class Bucket:
    """One minute, while it lasts. `keys` are those of all rows of the arrays, in order."""

    figures: Figures
    keys: tuple[str, ...]
    start: float
    count: int
    low: FloatArray
    high: FloatArray
    total: FloatArray
    known: FloatArray
    """How many ticks had the figure; the four are of shape (levels, keys)."""
    growth: FloatArray
    """Shape (growths, keys)."""

    @classmethod
    def empty(cls, figures: Figures, keys: tuple[str, ...], start: float) -> Self:
        """Return a bucket with nothing in it."""
        shape = (len(figures.levels), len(keys))
        unknown = np.full(shape, np.nan)
        growth = np.zeros((len(figures.growths), len(keys)))
        return cls(
            figures, keys, start, 0, unknown, unknown, np.zeros(shape), np.zeros(shape), growth
        )

    def add(self, levels: FloatArray, growth: FloatArray) -> None:
        """Add one tick."""
        self.count += 1
        self.low = np.fmin(self.low, levels)
        self.high = np.fmax(self.high, levels)
        self.total += np.nan_to_num(levels, nan=0.0)
        self.known += ~np.isnan(levels)
        self.growth += growth

    def rows(self) -> list[Row]:
        """Return a row for each key."""
        if not self.count or not self.keys:
            return []
        mean = np.divide(
            self.total, self.known, out=np.full_like(self.total, np.nan), where=self.known > 0
        )
        sides = np.stack([self.low, mean, self.high], axis=1).reshape(-1, len(self.keys))
        # Bytes and counts need no fractions, and take less room without; shares have four digits.
        small = np.abs(sides) <= 1.0
        values = np.concatenate([np.where(small, np.round(sides, 4), np.round(sides)), self.growth])
        plain = values.T.astype(object)
        plain[np.isnan(values.T)] = None
        pairs = zip(self.keys, plain.tolist(), strict=True)
        return [(key, self.start, self.count, *figures) for key, figures in pairs]


@dataclass(slots=True)
class Rollup:
    """The minute under way. `guest_rows` and `host_rows` are finished and wait to be taken."""

    guest_rows: list[Row] = field(default_factory=list)
    host_rows: list[Row] = field(default_factory=list)
    _guests: Bucket = field(default_factory=lambda: Bucket.empty(OF_GUESTS, (), 0.0))
    _hosts: Bucket = field(default_factory=lambda: Bucket.empty(OF_HOSTS, (), 0.0))
    _counters: FloatArray = field(default_factory=lambda: np.zeros((len(GROWTH_TAGS), 0)))
    """The counters of the last tick, in the order of the guests' keys."""

    def prime(self, seen: Observation) -> None:
        """Take the counters of the tick before the first one that will be added."""
        self._guests = Bucket.empty(OF_GUESTS, seen.guests.keys, -1.0)
        self._counters = seen.guests.statistics[:, GROWTH_TAGS].T

    def add(self, seen: Observation, decided: Decided | None) -> bool:
        """Add a tick; tell whether that ended the minute under way.

        A tick of another minute does, and one of other guests.
        """
        start = seen.wall // MINUTE * MINUTE
        keys, hosts = seen.guests.keys, seen.hosts.names
        ends = (start, keys, hosts) != (self._guests.start, self._guests.keys, self._hosts.keys)
        if ends:
            self.finish()
            self._align(keys)
            self._guests = Bucket.empty(OF_GUESTS, keys, start)
            self._hosts = Bucket.empty(OF_HOSTS, hosts, start)
        counters = seen.guests.statistics[:, GROWTH_TAGS].T
        # A counter that is new, gone, or went backwards (a reboot) has not grown.
        growth = np.maximum(np.nan_to_num(counters - self._counters, nan=0.0), 0.0)
        self._guests.add(guest_levels(seen, decided), growth)
        self._counters = np.where(np.isnan(counters), self._counters, counters)
        self._hosts.add(host_levels(seen), np.zeros((0, len(hosts))))
        return ends

    def finish(self) -> None:
        """End the minute under way, full or not: rows of one minute are merged later."""
        self.guest_rows += self._guests.rows()
        self.host_rows += self._hosts.rows()
        self._guests = Bucket.empty(OF_GUESTS, self._guests.keys, self._guests.start)
        self._hosts = Bucket.empty(OF_HOSTS, self._hosts.keys, self._hosts.start)

    def take(self) -> tuple[list[Row], list[Row]]:
        """Return the finished rows of guests and of hosts, once."""
        rows = self.guest_rows, self.host_rows
        self.guest_rows, self.host_rows = [], []
        return rows

    def _align(self, keys: tuple[str, ...]) -> None:
        """Bring the counters into the order of `keys`; those of a new guest are not known."""
        places = {key: place for place, key in enumerate(self._guests.keys)}
        counters = np.full((len(GROWTH_TAGS), len(keys)), np.nan)
        for place, key in enumerate(keys):
            if key in places:
                counters[:, place] = self._counters[:, places[key]]
        self._counters = counters


def guest_levels(seen: Observation, decided: Decided | None) -> FloatArray:
    """Return the guests' levels, a row each in the order of `OF_GUESTS`."""
    guests = seen.guests
    unknown = np.full(len(guests), np.nan)
    return np.stack(
        [
            guests.max_size,
            guests.guest_size,
            guests.held,
            guests.statistics[:, Tag.AVAILABLE_MEMORY],
            unknown if decided is None else decided.demand,
            unknown if decided is None else decided.pressure,
        ]
    )


def host_levels(seen: Observation) -> FloatArray:
    """Return the hosts' levels, a row each in the order of `OF_HOSTS`.

    A guest that cannot be measured holds all that it may.
    """
    hosts, guests = seen.hosts, seen.guests
    unknown = np.full(len(hosts), np.nan)
    held = np.where(np.isnan(guests.held), guests.guest_size, guests.held)

    def total(column: FloatArray) -> FloatArray:
        column = np.nan_to_num(column, nan=0.0)
        return np.bincount(guests.host, column, minlength=len(hosts)).astype(np.float64)

    sums = {"held": total(held), "permitted": total(guests.guest_size)}
    return np.stack(
        [
            sums[name] if name in sums else np.asarray(getattr(hosts, name, unknown))
            for name in OF_HOSTS.levels
        ]
    )
