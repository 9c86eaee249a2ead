"""A guest's or host's past, ready to be told or drawn: columns, moves, and what they are called.

Pure but for the journal that it is read from.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from aerostat.daemon.journal.history import (
    History,
    best_span,
    guest_history,
    host_history,
    host_names,
)
from aerostat.daemon.journal.reading import JournalReader
from aerostat.daemon.journal.schema import MINUTE, OF_GUESTS, OF_HOSTS, Figures
from aerostat.daemon.names import clean_name
from aerostat.daemon.snapshot import MoveRow
from aerostat.engine.observation import FloatArray
from aerostat.errors import UsageError

HARM_PRESSURE = 0.2
"""From here on a guest is said to feel it (`Settings.harm_pressure`)."""


@dataclass(frozen=True, slots=True)
class Past:
    """What there is to show; `key` is None for a host. Times are wall seconds."""

    key: str | None
    name: str
    since: float
    until: float
    history: History
    moves: tuple[MoveRow, ...] = ()

    @property
    def figures(self) -> Figures:
        """Which columns there are."""
        return OF_HOSTS if self.key is None else OF_GUESTS

    def column(self, name: str) -> FloatArray:
        """Return a column."""
        return self.history.columns[name]

    def fitted(self, name: str, width: int) -> FloatArray:
        """Return a column in `width` equal parts of the time.

        Each shows the extreme that the name says, or the mean; a part without a row shows the one
        before, unless there was a gap.
        """
        fitted = np.full(width, np.nan)
        values, start = self.column(name), self.history.start
        if not len(start):
            return fitted
        edges = np.linspace(self.since, self.until, width + 1)
        places = np.clip(np.searchsorted(edges, start, side="right") - 1, 0, width - 1)
        for place in np.unique(places):
            fitted[place] = _extreme(name, values[places == place])
        if name in self.figures.growths:
            return fitted
        # A row counts until the next one, unless something is missing between them.
        last = np.searchsorted(start, edges[:-1], side="right") - 1
        near = edges[:-1] - start[np.maximum(last, 0)] <= 2.5 * self._spacing()
        carried = np.where((last >= 0) & near, values[np.maximum(last, 0)], np.nan)
        empty = ~np.isin(np.arange(width), places)
        return np.where(empty, carried, fitted)

    def _spacing(self) -> float:
        """Return the usual time between two rows."""
        if self.history.span:
            return self.history.span
        steps = np.diff(self.history.start)
        return float(np.median(steps)) if len(steps) else MINUTE

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON encoder; sizes are bytes, times wall seconds."""
        return {
            "key": self.key,
            "name": self.name,
            "since": self.since,
            "until": self.until,
            "span": self.history.span,
            "rows": self.rows(),
            "moves": list(self.moves),
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return a mapping for each row; what is not known is None."""
        names = self.figures.columns
        table = np.stack([self.history.columns[name] for name in names], axis=1)
        plain = table.astype(object)
        plain[~np.isfinite(table)] = None
        return [
            {"start": start, "ticks": int(count), **dict(zip(names, values, strict=True))}
            for start, count, values in zip(
                self.history.start.tolist(), self.history.count, plain.tolist(), strict=True
            )
        ]

    def csv(self) -> str:
        """Return the rows as CSV with a line of titles; times as ISO 8601, sizes in bytes."""
        lines = [",".join(("start", "ticks", *self.figures.columns))]
        for row in self.rows():
            moment = datetime.fromtimestamp(row.pop("start")).astimezone()
            values = ("" if value is None else f"{value:.15g}" for value in row.values())
            lines.append(",".join((moment.isoformat(timespec="milliseconds"), *values)))
        return "\n".join(lines)


def guest_past(
    reader: JournalReader, key: str, since: float, until: float, span: float | None = None
) -> Past:
    """Return the past of the guest `key`. Raises `UsageError` where nothing of it is recorded."""
    span = best_span(reader, since, until) if span is None else span
    history = guest_history(reader, key, since, until, span=span)
    name = clean_name(reader.guests().get(key, key))
    since, until = _within(history, since, until, name)
    return Past(key, name, since, until, history, tuple(reader.moves(key, since, until)))


def host_past(reader: JournalReader, since: float, until: float, span: float | None = None) -> Past:
    """Return the past of the host. Raises `UsageError` where nothing is recorded."""
    span = best_span(reader, since, until) if span is None else span
    names = host_names(reader)
    if not names:
        raise UsageError(f"{reader.path} has no ticks yet")
    history = host_history(reader, names[0], since, until, span=span)
    since, until = _within(history, since, until, names[0])
    return Past(
        None, clean_name(names[0]), since, until, history, tuple(reader.moves(None, since, until))
    )


def _within(history: History, since: float, until: float, name: str) -> tuple[float, float]:
    """Return the time that is shown: as asked for, but not beyond what is recorded."""
    if not len(history):
        raise UsageError(f"nothing of {name} is recorded in that time")
    newest = float(history.start[-1]) + history.span
    return max(since, float(history.start[0])), min(until, newest)


def _extreme(name: str, values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    if not len(known):
        return np.nan
    if name.endswith("_min"):
        return float(known.min())
    if name.endswith("_max"):
        return float(known.max())
    return float(known.mean()) if name.endswith("_mean") else float(known.sum())
