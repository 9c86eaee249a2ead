"""Scales: where a value lies along an axis, and which round values are written there. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from aerostat.units import MIB, format_size

_LEAST_SHARE = 1e-4
"""Harm below this is drawn as if it were this; 0.01 % is nothing that anybody notices."""


class Mark(NamedTuple):
    """A place on a scale and what is written there."""

    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Scale:
    """From which value to which an axis goes, and its marks."""

    low: float
    high: float
    marks: tuple[Mark, ...]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, from 0 to 1; what lies outside is drawn at the edge."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def numbers(highest: float, count: int = 5, *, low: float = 0.0) -> Scale:
    """Return a scale of numbers from `low` (or a round one below) to a round one above."""
    return _linear(low, highest, count, format_number)


def shares(highest: float, count: int = 5) -> Scale:
    """Return a scale of shares from 0, written in per cent."""
    return _linear(0.0, highest, count, format_share)


def harms(highest: float) -> Scale:
    """Return a logarithmic scale of shares, a mark a decade from 0.01 %."""
    decades = max(1, math.ceil(math.log10(max(highest, _LEAST_SHARE) / _LEAST_SHARE) - 1e-9))
    values = [_LEAST_SHARE * 10**decade for decade in range(decades + 1)]
    marks = [Mark(value, format_share(value)) for value in values]
    first = Mark(values[0], f"\N{LESS-THAN OR EQUAL TO} {marks[0].text}")
    return Scale(values[0], values[-1], (first, *marks[1:]), logarithmic=True)


def sizes(highest: float, count: int = 5) -> Scale:
    """Return a scale of bytes from 0, in steps that are powers of two."""
    step = float(MIB)
    while highest / step > count:
        step *= 2
    steps = max(1, math.ceil(highest / step - 1e-9))
    marks = [Mark(step * n, _whole_size(step * n)) for n in range(steps + 1)]
    return Scale(0.0, step * steps, tuple(marks))


def seconds(highest: float, count: int = 6) -> Scale:
    """Return a scale of time from 0, in seconds, minutes or hours."""
    steps = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
    step = next((each for each in steps if highest / each <= count), 86400)
    step *= math.ceil(highest / step / count) if step == 86400 else 1
    places = [step * n for n in range(int(highest / step + 1e-9) + 1)]
    unit, factor = next(
        (unit, factor)
        for unit, factor in (("h", 3600), ("min", 60), ("s", 1))
        if step % factor == 0
    )
    marks = [Mark(at, f"{at // factor:.0f} {unit}" if at else "0") for at in places]
    return Scale(0.0, max(highest, 1e-9), tuple(marks))


def format_number(value: float) -> str:
    """Return a number with three digits at most that mean something: ``0.85``, ``12,300``."""
    if not math.isfinite(value):
        return "-"
    for unit, factor in (("G", 1e9), ("M", 1e6)):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {unit}"
    if abs(value) >= 1000 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def format_share(share: float) -> str:
    """Return a share in per cent: ``0``, ``0.03 %``, ``2.1 %``, ``37 %``."""
    if not math.isfinite(share):
        return "-"
    percent = share * 100
    if percent == 0:
        return "0"
    if abs(percent) < 0.005:
        return "< 0.01 %"
    digits = 0 if abs(percent) >= 9.95 else 1 if abs(percent) >= 0.995 else 2
    text = f"{percent:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def _whole_size(size: float) -> str:
    number, _, unit = format_size(size).partition(" ")
    return f"{number.removesuffix('.0')} {unit}" if size else "0"


def _linear(low: float, highest: float, count: int, text: Callable[[float], str]) -> Scale:
    length = highest - low if highest > low else 1.0
    rough = length / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(highest / step - 1e-9)
    last = max(last, first + 1)
    # Rounded: 3 * 0.1 is not 0.3, and would be written so.
    values = [float(f"{step * n:.10g}") for n in range(first, last + 1)]
    marks = tuple(Mark(value, text(value)) for value in values)
    return Scale(values[0], values[-1], marks)
