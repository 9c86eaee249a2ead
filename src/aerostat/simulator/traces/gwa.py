"""The format of the Grid Workloads Archive's traces 12 and 13.

Adapter. A file a machine, `;` between fields. Its traps: under a header that says milliseconds are
seconds (trace 12) or dates (13); fields may be separated by `;` and a tab, in quotes, with decimal
commas; KB are 1024 bytes; some rows have a capacity of 0, some times come twice, and there are
gaps. What columns are is read from the header, since the traces differ.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from aerostat.errors import UsageError
from aerostat.simulator.traces.lines import MOST, Row, rows
from aerostat.simulator.traces.trace import COLD, Collection, Trace
from aerostat.units import KIB

_TIME, _CAPACITY, _USAGE = "timestamp", "memory capacity provisioned [kb]", "memory usage [kb]"
_READS, _WRITES = "disk read throughput [kb/s]", "disk write throughput [kb/s]"
_DATE = re.compile(r"(\d\d)\.(\d\d)\.(\d{4}) (\d\d):(\d\d)(?::(\d\d))?", re.ASCII)
# A time in milliseconds would be beyond this: in seconds it is the year 5138.
_MILLISECONDS = 1e11
# Files that are read: as many as in ten minutes, at most all that memory could take.
_READ_SECONDS = 600.0
_LARGEST = 1 << 43  # KiB


def read(path: Path, limit: int) -> list[Trace]:
    """Return the machines in a file, or in all the `.csv` files of a directory, `limit` at most.

    Raises `UsageError`, with the line of what is wrong.
    """
    collection = Collection(limit)
    files = sorted(path.glob("*.csv"), key=_numbered) if path.is_dir() else [path]
    for file in files[:limit]:
        _read(file, collection)
    return collection.traces(path)


def _numbered(path: Path) -> tuple[int, str]:
    """Return a key that puts 2.csv before 10.csv."""
    return (int(path.stem), "") if path.stem.isascii() and path.stem.isdigit() else (-1, path.stem)


def _read(path: Path, collection: Collection) -> None:
    lines = rows(path, ";")
    places = _header(next(lines, None), path)
    for row in lines:
        at = _time(row, places[_TIME])
        size = _kib(row, places, _CAPACITY)
        used = min(_kib(row, places, _USAGE), size)
        if size == 0:
            continue  # Switched off, or not known.
        machine = collection.of(path.stem)
        if machine is None:
            return
        machine.size = max(machine.size, size)
        # What is said to be used is what was touched of late: programs hold more than that.
        held = min(used / (1 - COLD), size)
        reads, writes = _kib(row, places, _READS), _kib(row, places, _WRITES)
        machine.add(
            at,
            held,
            cold=held - used,
            files=min(reads * _READ_SECONDS, size),
            reads=reads,
            writes=writes,
        )


def _header(row: Row | None, path: Path) -> dict[str, int]:
    """Return in which place each column is. Raises `UsageError` where one is missing."""
    if row is None:
        raise UsageError(f"{path}: empty")
    places = {name.lower(): place for place, name in reversed([*enumerate(row.fields)])}
    times = [place for name, place in places.items() if name.startswith(_TIME)]
    if times:
        places[_TIME] = min(times)
    for name in (_TIME, _CAPACITY, _USAGE, _READS, _WRITES):
        if name not in places:
            raise row.error(f"no column {name!r} in the header")
    return places


def _kib(row: Row, places: dict[str, int], name: str) -> float:
    """Return a figure in KiB as bytes; its decimals may follow a comma."""
    return KIB * row.number(places[name], name, high=_LARGEST, comma=True)


def _time(row: Row, place: int) -> float:
    """Return a time in seconds, whichever way it is written."""
    text = row.text(place, _TIME)
    if date := _DATE.fullmatch(text):
        day, month, year, hour, minute, second = (int(part or 0) for part in date.groups())
        try:
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
        except ValueError as error:
            raise row.error(f"no date: {text}") from error
    at = row.number(place, _TIME, high=MOST)
    return at / 1000 if at > _MILLISECONDS else at
