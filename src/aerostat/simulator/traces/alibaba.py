"""Alibaba cluster-trace-v2018: `machine_usage` of 4 000 machines, `container_usage` on them.

Adapter. Which of the two a file is shows in the number of its fields. Its traps: no header; memory
is a percentage, of a size that is not told (`machine_size`, 96 GiB where nobody says more, or what
a container has); figures may be empty, -1 or 101, which means not known; rows are in the order of
neither time nor machines. For research and study only, so none of it is here.
"""

from pathlib import Path

from aerostat.simulator.traces.lines import MOST, Row, rows
from aerostat.simulator.traces.trace import COLD, Collection, Trace
from aerostat.units import GIB, MIB

_TIME_PLACE = {9: 1, 11: 2}
"""By the number of fields: machines, containers."""
_UNKNOWN = {"", "-1", "-1.0", "101", "101.0"}
# `disk_io_percent` is of what a disk can do; a rotating one, much of it writing.
_DISK = 100.0 * MIB
_READ_SHARE = 0.5
_READ_SECONDS = 600.0


def read(path: Path, limit: int = 1000, machine_size: float = 96.0 * GIB) -> list[Trace]:
    """Return the first `limit` machines, or containers, of a file. Raises `UsageError`.

    `machine_size` is each one's memory, bytes.
    """
    collection = Collection(limit)
    for row in rows(path):
        _add(row, collection, machine_size)
    return collection.traces(path)


def _add(row: Row, collection: Collection, machine_size: float) -> None:
    time = _TIME_PLACE.get(len(row.fields))
    if time is None:
        raise row.error(f"{len(row.fields)} fields, not 9 (machines) or 11 (containers)")
    at = row.number(time, "time_stamp", high=MOST)
    name = row.text(0, "the machine")
    if row.fields[time + 2] in _UNKNOWN:
        return
    used = row.number(time + 2, "mem_util_percent", high=100.0) / 100 * machine_size
    disk = 0.0
    if row.fields[-1] not in _UNKNOWN:
        disk = row.number(len(row.fields) - 1, "disk_io_percent", high=100.0) / 100 * _DISK
    machine = collection.of(name)
    if machine is None:
        return
    machine.size = machine_size
    reads = _READ_SHARE * disk
    machine.add(
        at,
        used,
        cold=COLD * used,
        files=min(reads * _READ_SECONDS, machine_size),
        reads=reads,
        writes=disk - reads,
    )
