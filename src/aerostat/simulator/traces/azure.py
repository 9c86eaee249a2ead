"""Azure public dataset, versions 1 and 2: the processor use of 2.7 million machines over a month.

Adapter. There is no memory in it, except how much each machine has; so what is wanted is derived,
by this rule: programs hold 15 % of the memory in any case, and three quarters of what a busy
processor has its share of, which is memory by cores and at most 4 GiB; what is not held is read of
files at 1 MiB/s for each busy processor. Its traps: no header; cores and memory in buckets, of
which the last is ``>24`` or ``>64``; readings lie in files by time, not by machine, and in none of
them in the machine's order. CC-BY 4.0.
"""

from pathlib import Path
from typing import NamedTuple

from aerostat.errors import UsageError
from aerostat.simulator.traces.lines import Row, rows
from aerostat.simulator.traces.trace import COLD, Collection, Trace
from aerostat.units import GIB, MIB

_TABLE, _READINGS = "vmtable", "vm_cpu_readings"
_TABLE_FIELDS, _READING_FIELDS = 11, 5
_ID, _CORES, _MEMORY = 0, 9, 10
# In the last bucket, which is open: the next size that is sold.
_OPEN = {">24": 32.0, ">64": 128.0}

_BASE = 0.15
_BY_WORK = 0.75
_MOST_OF_A_CORE = 4.0 * GIB
_READS_OF_A_CORE = 1.0 * MIB
_FILES = 0.5


class _Machine(NamedTuple):
    cores: float
    size: float


def read(path: Path, limit: int = 1000) -> list[Trace]:
    """Return the machines of a directory with `vmtable*.csv*` and `vm_cpu_readings*.csv*`.

    The first `limit` machines of the table are read. Raises `UsageError`.
    """
    tables = sorted(path.glob(f"{_TABLE}*.csv*"))
    readings = sorted(path.glob(f"{_READINGS}*.csv*"))
    if not tables or not readings:
        raise UsageError(f"{path}: no directory with {_TABLE}.csv and {_READINGS}-….csv")
    machines = _machines(tables[0], limit)
    collection = Collection(limit)
    for file in readings:
        for row in rows(file):
            _add(row, machines, collection)
    return collection.traces(path)


def _machines(path: Path, limit: int) -> dict[str, _Machine]:
    """Return the first machines of the table, by their names."""
    machines: dict[str, _Machine] = {}
    for row in rows(path):
        if len(machines) >= limit:
            break
        if len(row.fields) != _TABLE_FIELDS:
            raise row.error(f"{len(row.fields)} fields, not {_TABLE_FIELDS}")
        cores = _bucket(row, _CORES, "the core count")
        memory = _bucket(row, _MEMORY, "the memory")
        machines[row.text(_ID, "the machine")] = _Machine(cores, memory * GIB)
    return machines


def _bucket(row: Row, place: int, what: str) -> float:
    found = _OPEN.get(row.text(place, what))
    return row.number(place, what, low=0.25, high=1 << 20) if found is None else found


def _add(row: Row, machines: dict[str, _Machine], collection: Collection) -> None:
    """Add a reading: timestamp, machine, least, most and average use of its processors."""
    if len(row.fields) != _READING_FIELDS:
        raise row.error(f"{len(row.fields)} fields, not {_READING_FIELDS}")
    at = row.number(0, "the timestamp")
    busy = row.number(4, "the average", high=100.0) / 100
    name = row.fields[1]
    of = machines.get(name)
    samples = collection.of(name) if of else None
    if of is None or samples is None:
        return
    samples.size = of.size
    by_work = of.cores * min(of.size / of.cores, _MOST_OF_A_CORE) * _BY_WORK
    held = _BASE * of.size + by_work * busy
    reads = _READS_OF_A_CORE * of.cores * busy
    samples.add(
        at,
        held,
        cold=COLD * held,
        files=_FILES * (of.size - held),
        reads=reads,
        writes=reads / 4,
    )
