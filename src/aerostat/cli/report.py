"""What ``list``, ``stats`` and ``explain`` print. Pure: rows to text or JSON."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.cells import cell_len

from aerostat.balloon.statistics import NAMES, Tag
from aerostat.cli.errors import NotThereError
from aerostat.daemon.names import clean_name
from aerostat.daemon.snapshot import SCHEMA, GuestRow
from aerostat.errors import UsageError
from aerostat.units import format_size

_ABSENT = "-"
_SIZES = ("max_size", "guest_size", "target_size", "held")
_BYTE_TAGS = {
    Tag.SWAP_IN,
    Tag.SWAP_OUT,
    Tag.FREE_MEMORY,
    Tag.TOTAL_MEMORY,
    Tag.AVAILABLE_MEMORY,
    Tag.DISK_CACHES,
}
_IN_BYTES = {*_SIZES, *(NAMES[tag] for tag in _BYTE_TAGS)}


def to_json(**values: object) -> str:
    """Return `values` as a JSON object with the schema's number."""
    builtins: dict[str, Any] = msgspec.to_builtins(values)
    return json.dumps({"schema": SCHEMA, **builtins}, indent=2)


def find_guest(rows: Sequence[GuestRow], name: str) -> GuestRow:
    """Return the guest with this key or name.

    Raises `NotThereError` where there is none, and `UsageError` where there are several.
    """
    found = [row for row in rows if row.key == name] or [row for row in rows if row.name == name]
    if not found:
        known = ", ".join(clean_name(row.name) for row in rows[:10])
        more = f", and {len(rows) - 10} more" if len(rows) > 10 else ""
        there = f"there are: {known}{more}" if rows else "there are none"
        raise NotThereError(f"no guest is called {clean_name(name)!r}; {there}")
    if len(found) > 1:
        keys = ", ".join(row.key for row in found)
        raise UsageError(f"several guests are called {clean_name(name)!r}; name one of: {keys}")
    return found[0]


def list_table(rows: Sequence[GuestRow]) -> str:
    """Return a line a guest, in columns, with a line of titles."""
    titles = ["NAME", "MAX", "SIZE", "TARGET", "HELD", "FREE", "AVAILABLE", "PRESSURE", "AGE"]
    table = [[*titles, "CONDITION"], *(_list_row(row) for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    return "\n".join(_aligned(cells, widths) for cells in table)


def _list_row(row: GuestRow) -> list[str]:
    sizes = (*(getattr(row, name) for name in _SIZES), row.free_memory, row.available_memory)
    return [
        clean_name(row.name),
        *(_ABSENT if size is None else format_size(size) for size in sizes),
        _ABSENT if row.pressure is None else f"{row.pressure:.0%}",
        _ABSENT if row.sample_age is None else f"{row.sample_age:.1f} s",
        clean_name(f"{row.condition}: {row.error}" if row.error else row.condition, 120),
    ]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return one line: the first and the last cell to the left, figures to the right."""
    last = len(cells) - 1
    pads = [" " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)]
    pairs = zip(range(len(cells)), cells, pads, strict=True)
    return "  ".join(
        cell + pad if place in (0, last) else pad + cell for place, cell, pad in pairs
    ).rstrip()


def stats_lines(row: GuestRow, *, human: bool) -> str:
    """Return ``key value`` lines: sizes, then all that the guest may say by the kernel's names.

    Sizes are bytes, or for people if `human`; what is absent is ``-``.
    """
    figures: dict[str, int | None] = {name: getattr(row, name) for name in _SIZES}
    figures |= {name: row.statistics.get(name) for name in NAMES.values()}
    figures |= row.statistics
    lines = [
        f"{name} {_ABSENT if value is None else _shown(name, value, human=human)}"
        for name, value in figures.items()
    ]
    age = _ABSENT if row.sample_age is None else f"{row.sample_age:.3f}"
    return "\n".join(
        [*lines, f"sample_age {age}", f"condition {row.condition}", f"source {row.source}"]
    )


def _shown(name: str, value: int, *, human: bool) -> str:
    return format_size(value) if human and name in _IN_BYTES else str(value)
