"""A guest's or host's past as columns: from single ticks, or from what they were rolled up to.

What the rolled-up tables do not know yet (the minute under way, an older version's ticks) is
rolled up on the way. Reads through a `JournalReader`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import GenericAlias

import numpy as np

from aerostat.daemon.journal.reading import FOREVER, NEVER, JournalReader, Wall
from aerostat.daemon.journal.rollup import GROWTH_TAGS, Rollup, Row, guest_levels, host_levels
from aerostat.daemon.journal.schema import (
    MINUTE,
    OF_GUESTS,
    OF_HOSTS,
    QUARTER,
    Figures,
    rolled_table,
)
from aerostat.engine.observation import FloatArray, IntArray
from aerostat.errors import UsageError

TICK = 0.0
"""The span of a row that is one tick."""

# A screen or a picture shows a thousand rows at most; reading more would only take longer.
_LONGEST = {TICK: 20 * MINUTE, MINUTE: 36 * 3600.0}

_ROLLED = (
    "SELECT who.key, start, count, {columns} FROM {table} JOIN guests AS who ON who.id = guest"
    " WHERE who.key = ? AND start > ? AND start <= ? ORDER BY start"
)
_ROLLED_HOST = (
    "SELECT host, start, count, {columns} FROM {table}"
    " WHERE host = ? AND start > ? AND start <= ? ORDER BY start"
)


@dataclass(frozen=True, slots=True)
class History:
    """One row a moment, the oldest first; NaN is not known."""

    span: float
    """Seconds that a row covers; `TICK` for single ticks."""
    start: FloatArray
    """When each row begins: wall seconds."""
    count: FloatArray
    """How many ticks a row was made of."""
    columns: dict[str, FloatArray]
    """By the names of `Figures.columns`: ``guest_size_mean``, ``swap_out``; bytes, counts, 0..1."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.start)


def best_span(reader: JournalReader, since: float, until: float) -> float:
    """Return the span of rows that suits a time: single ticks for minutes, quarters for days."""
    oldest, newest = reader.span() or (FOREVER, FOREVER)
    length = min(until, newest) - max(since, min(oldest, _oldest_rolled(reader)))
    if length <= _LONGEST[TICK] and until >= oldest:
        return TICK
    return MINUTE if length <= _LONGEST[MINUTE] else QUARTER


def _oldest_rolled(reader: JournalReader) -> float:
    if reader.version == 1:
        return FOREVER
    rows = reader.rows(tuple[Wall | None], "SELECT min(start) FROM host_quarters")
    start: float | None = rows[0][0]
    return FOREVER if start is None else start


def guest_history(
    reader: JournalReader, key: str, since: float = NEVER, until: float = FOREVER, *, span: float
) -> History:
    """Return the past of the guest `key`, in rows of `span` seconds."""
    return _history(reader, OF_GUESTS, key, since, until, span)


def host_history(
    reader: JournalReader, name: str, since: float = NEVER, until: float = FOREVER, *, span: float
) -> History:
    """Return the past of the host `name`, in rows of `span` seconds."""
    return _history(reader, OF_HOSTS, name, since, until, span)


def host_names(reader: JournalReader) -> tuple[str, ...]:
    """Return the hosts of the newest tick."""
    first, last = reader.bounds()
    newest = list(reader.ticks(last, last)) if last >= first else []
    return newest[0].observation.hosts.names if newest else ()


def _history(
    reader: JournalReader, figures: Figures, who: str, since: float, until: float, span: float
) -> History:
    if span == TICK:
        rows: Iterable[Row] = _tick_rows(reader, figures, who, *reader.bounds(since, until))
    else:
        rows = [*_rolled_rows(reader, figures, who, since, until, span)]
        rows += _late_rows(reader, figures, who, since, until)
    return _merged(figures, rows, span)


def _tick_rows(
    reader: JournalReader, figures: Figures, who: str, first: int, last: int
) -> Iterator[Row]:
    counters = np.full(len(GROWTH_TAGS), np.nan)
    for tick in reader.ticks(first, last):
        seen = tick.observation
        keys = seen.guests.keys if figures is OF_GUESTS else seen.hosts.names
        if who not in keys:
            continue
        place = keys.index(who)
        if figures is OF_HOSTS:
            yield (who, seen.wall, 1, *host_levels(seen)[:, place].repeat(3).tolist())
            continue
        levels = guest_levels(seen, tick.decided)[:, place].repeat(3)
        newest = seen.guests.statistics[place, GROWTH_TAGS]
        growth = np.maximum(np.nan_to_num(newest - counters, nan=0.0), 0.0)
        counters = np.where(np.isnan(newest), counters, newest)
        yield (who, seen.wall, 1, *levels.tolist(), *growth.tolist())


def _rolled_rows(
    reader: JournalReader, figures: Figures, who: str, since: float, until: float, span: float
) -> list[Row]:
    if reader.version == 1:
        return []
    query = _ROLLED if figures is OF_GUESTS else _ROLLED_HOST
    query = query.format(columns=", ".join(figures.columns), table=rolled_table(figures, span))
    # Who, when, of how many ticks, and the figures.
    kind = GenericAlias(tuple, (str, Wall, int, *[float | None] * len(figures.columns)))
    return reader.rows(kind, query, who, since - span, until)


def _late_rows(
    reader: JournalReader, figures: Figures, who: str, since: float, until: float
) -> list[Row]:
    """Return the minutes that are not in the tables yet."""
    first, last = reader.bounds(since, until)
    rollup = Rollup()
    for tick in reader.ticks(max(first, reader.rolled() + 1), last):
        rollup.add(tick.observation, tick.decided)
    rollup.finish()
    guest_rows, host_rows = rollup.take()
    rows = guest_rows if figures is OF_GUESTS else host_rows
    return [row for row in rows if row[0] == who]


def _merged(figures: Figures, rows: Iterable[Row], span: float) -> History:
    """Return rows as columns, those of one time merged."""
    table = np.array([row[1:] for row in rows], dtype=np.float64)  # None becomes NaN
    table = table.reshape(-1, 2 + len(figures.columns))
    starts = table[:, 0] // span * span if span else table[:, 0]
    order = np.argsort(starts, kind="stable")
    table, starts = table[order], starts[order]
    first = np.flatnonzero(np.diff(starts, prepend=-np.inf) > 0).astype(np.int64)
    count = np.add.reduceat(table[:, 1], first) if len(first) else np.zeros(0)
    columns = {}
    for place, name in enumerate(figures.columns, 2):
        columns[name] = _merge_column(name, table[:, place], table[:, 1], first)
    return History(span, starts[first], count, columns)


def _merge_column(
    name: str, values: FloatArray, weights: FloatArray, first: IntArray
) -> FloatArray:
    if not len(first):
        return np.zeros(0)
    if name.endswith("_min"):
        return np.fmin.reduceat(values, first)
    if name.endswith("_max"):
        return np.fmax.reduceat(values, first)
    known = ~np.isnan(values)
    total = np.add.reduceat(np.where(known, values, 0.0), first)
    if not name.endswith("_mean"):
        return total
    weighed = np.add.reduceat(np.where(known, values * weights, 0.0), first)
    weight = np.add.reduceat(np.where(known, weights, 0.0), first)
    return np.divide(weighed, weight, out=np.full_like(weighed, np.nan), where=weight > 0)


def check_span(text: str) -> float:
    """Return the seconds of a row that ``tick``, ``minute`` or ``quarter`` means."""
    spans = {"tick": TICK, "minute": MINUTE, "quarter": QUARTER}
    if text not in spans:
        raise UsageError(f"rows are a tick, a minute or a quarter, not {text!r}")
    return spans[text]
