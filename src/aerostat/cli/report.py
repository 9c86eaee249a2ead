"""What ``list``, ``stats`` and ``top`` print. Pure: rows to text, CSV or JSON."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.cells import cell_len

from aerostat.balloon.statistics import NAMES
from aerostat.daemon.names import clean_name, clean_text
from aerostat.daemon.snapshot import SCHEMA, GuestRow, Snapshot
from aerostat.tui.lines import accounts
from aerostat.tui.states import reservation_words, state_words
from aerostat.units import format_size

_ABSENT = "-"
_SIZES = ("max_size", "guest_size", "target_size", "held", "free_memory", "available_memory")
_TITLES = (
    *("NAME", "MAX", "SIZE", "TARGET", "HELD", "FREE", "AVAILABLE"),
    *("PRESSURE", "AGE", "WAY", "CONDITION"),
)


def to_json(**values: object) -> str:
    """Return `values` as a JSON object with the schema's number."""
    return json.dumps(_plain(values), indent=2)


def json_line(**values: object) -> str:
    """Return the same in one line."""
    return json.dumps(_plain(values))


def _plain(values: dict[str, object]) -> dict[str, Any]:
    builtins: dict[str, Any] = msgspec.to_builtins(values)
    return {"schema": SCHEMA, **builtins}


def rfc3339(wall: float) -> str:
    """Return a moment (seconds since the epoch) as ``2026-11-23T06:00:17.250Z``."""
    moment = datetime.fromtimestamp(wall, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def list_table(rows: Sequence[GuestRow]) -> str:
    """Return a line a guest, in columns, with a line of titles."""
    table = [_TITLES, *(_list_row(row) for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    return "\n".join(_aligned(cells, widths) for cells in table)


def house_lines(snapshot: Snapshot) -> Iterator[str]:
    """Yield what there is to say beside the guests: hosts, reservations, problems."""
    for host in snapshot.hosts:
        if text := accounts(host):
            yield f"{clean_name(host.name)}: {text}"
    for reservation in snapshot.reservations:
        yield f"reserved for {reservation_words(reservation)}"
    for connector in snapshot.connectors:
        if connector.problem:
            yield f"! {clean_name(connector.name)}: {clean_text(connector.problem)}"
    for problem in snapshot.problems:
        yield f"! {clean_text(problem)}"


def _list_row(row: GuestRow) -> Sequence[str]:
    sizes = [getattr(row, name) for name in _SIZES]
    state = state_words(row)
    return (
        clean_name(row.name),
        *(_ABSENT if size is None else format_size(size) for size in sizes),
        _ABSENT if row.pressure is None else f"{row.pressure:.0%}",
        _ABSENT if row.sample_age is None else f"{row.sample_age:.1f} s",
        _ABSENT if row.way is None else clean_name(row.way),
        clean_name(f"{state}: {row.error}" if row.error else state, 120),
    )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return one line: words (the first and the last two cells) to the left, figures right."""
    words = {0, len(cells) - 2, len(cells) - 1}
    pads = [" " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)]
    pairs = zip(range(len(cells)), cells, pads, strict=True)
    return "  ".join(
        cell + pad if place in words else pad + cell for place, cell, pad in pairs
    ).rstrip()


_PLAIN_FIELDS = [field.name for field in fields(GuestRow) if field.name != "statistics"]
_CSV_TITLES = ["time", *_PLAIN_FIELDS, *(n for n in NAMES.values() if n not in _PLAIN_FIELDS)]


def csv_text(rows: Iterable[GuestRow], wall: float, *, titles: bool = True) -> str:
    """Return guests as CSV: bytes and seconds, nothing for what is not known.

    `wall` is when the rows held, seconds since the epoch.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, _CSV_TITLES, extrasaction="ignore", lineterminator="\n")
    if titles:
        writer.writeheader()
    for row in rows:
        plain: dict[str, Any] = msgspec.to_builtins(row)
        writer.writerow({**row.statistics, **plain, "time": rfc3339(wall)})
    return out.getvalue().rstrip("\n")
