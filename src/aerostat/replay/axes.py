"""Round figures for scales: of bytes, and of time. Pure but for the local time zone."""

import math
from datetime import datetime
from typing import NamedTuple

from aerostat.units import MIB, format_size

_TIME_STEPS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
    172800, 604800, 1209600, 2592000,
)  # fmt: skip


class Mark(NamedTuple):
    """A place on a scale and what is written there."""

    place: float
    text: str


def size_marks(highest: float, count: int) -> list[Mark]:
    """Return at most `count` steps from 0 up to the first beyond `highest` bytes, powers of two."""
    step = float(MIB)
    while highest / step > count - 1:
        step *= 2
    steps = max(1, math.ceil(highest / step - 1e-9))
    return [Mark(step * number, format_size(step * number)) for number in range(steps + 1)]


def time_marks(since: float, until: float, count: int) -> list[Mark]:
    """Return at most `count` round moments of a time, in the local time zone."""
    length = max(until - since, 1.0)
    step = next((step for step in _TIME_STEPS if length / step <= count), math.ceil(length / count))
    offset = datetime.fromtimestamp(since).astimezone().utcoffset()
    shift = offset.total_seconds() if offset else 0.0
    first = math.ceil((since + shift) / step) * step - shift
    style = "%H:%M:%S" if step < 60 else "%H:%M" if step < 43200 else "%m-%d"
    marks: list[Mark] = []
    moment = first
    while moment <= until and len(marks) < count + 1:
        marks.append(Mark(moment, datetime.fromtimestamp(moment).astimezone().strftime(style)))
        moment += step
    return marks
