"""Google ClusterData2019: `instance_usage` of eight clusters, exported as lines of JSON.

Adapter. Guests are the instances of jobs, as if each had a machine of the size of its limit. Its
traps: times are microseconds and, like all whole numbers of such an export, text; memory is a share
of the largest machine, whose size is not told (`machine_size`, 512 GiB where nobody says more);
figures may be missing, which means 0. Page cache is told apart from the rest. CC-BY 4.0.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aerostat.simulator.traces.lines import MOST, Row, lines
from aerostat.simulator.traces.trace import COLD, Collection, Trace
from aerostat.units import GIB

_MICROSECONDS = 1e6
# Files are read as often as they are kept: all that is cached in ten minutes.
_READ_SECONDS = 600.0
# Who has no limit has a machine that its use fills to four fifths.
_UNLIMITED = 1.25


def read(path: Path, limit: int = 1000, machine_size: float = 512.0 * GIB) -> list[Trace]:
    """Return the first `limit` instances of a file. Raises `UsageError`.

    `machine_size` is the largest machine's memory, bytes.
    """
    collection = Collection(limit)
    for number, text in lines(path):
        place = Row(path, number, ())
        _add(_object(place, text), place, collection, machine_size)
    return collection.traces(path)


def _object(place: Row, text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise place.error("not JSON") from error
    if not isinstance(found, dict):
        raise place.error("not an object")
    return found


def _add(usage: Mapping[str, Any], place: Row, collection: Collection, machine_size: float) -> None:
    begin = _number(usage, "start_time", place, high=MOST) / _MICROSECONDS
    end = _number(usage, "end_time", place, high=MOST) / _MICROSECONDS
    if end < begin:
        raise place.error("end_time is before start_time")
    average = usage.get("average_usage")
    if not isinstance(average, dict):
        raise place.error("average_usage is missing")
    used = _number(average, "memory", place) * machine_size
    cached = min(_number(usage, "page_cache_memory", place) * machine_size, used)
    assigned = _number(usage, "assigned_memory", place) * machine_size
    instance = collection.of(_name(usage, place))
    if instance is None:
        return
    instance.size = max(instance.size, assigned or used * _UNLIMITED)
    held = used - cached
    instance.add(
        begin,
        held,
        cold=COLD * held,
        files=cached,
        reads=cached / _READ_SECONDS,
        writes=0.0,
    )


def _name(usage: Mapping[str, Any], place: Row) -> str:
    collection, index = (
        int(_number(usage, key, place, high=MOST)) for key in ("collection_id", "instance_index")
    )
    return f"{collection}-{index}"


def _number(table: Mapping[str, Any], key: str, place: Row, high: float = 1.0) -> float:
    """Return a number that may be text, or missing, which is 0."""
    value = table.get(key)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise place.error(f"{key} is not a number")
    return place._replace(fields=(str(value),)).number(0, key, high=high)
