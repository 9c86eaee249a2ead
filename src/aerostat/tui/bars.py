"""Bars, gauges and sparklines, drawn with characters.

Pure functions to `rich.text.Text`. Each part has a glyph of its own beside its colour (what is
exposed lies beyond a mark), so that a bar reads the same without colours.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from rich.text import Text

HELD = ("▆", "cyan")
OUTSTANDING = ("▂", "cyan")
GRANTED = ("▃", "green")
RESERVED = ("▪", "magenta")
EXPOSED = ("▂", "red")
EMPTY = ("·", "dim")  # in a balloon, or spare
_MARK = ("│", "bold yellow")

_SPARKS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉█"

CALM, UNEASY = 0.2, 0.5  # pressures at which the colour changes


class Layer(NamedTuple):
    """A part of a bar that reaches up to `end` (in the unit of the bar's whole)."""

    end: float
    ink: tuple[str, str]


def layered_bar(
    width: int, whole: float, layers: Sequence[Layer], mark: float | None = None
) -> Text:
    """Return a bar of `width` (at least one) cells for `whole`; layers begin where earlier end.

    What no layer covers is empty. A non-zero first layer shows at least one cell. `mark` draws a
    line at that place.
    """
    cells: list[tuple[str, str]] = []
    for layer in layers:
        end = _cell(layer.end, whole, width)
        if not cells and layer.end > 0:
            end = max(end, 1)
        cells += [layer.ink] * (end - len(cells))
    cells += [EMPTY] * (width - len(cells))
    if mark is not None:
        cells[min(_cell(mark, whole, width), width - 1)] = _MARK
    runs = ((ink[0] * len(list(run)), ink[1]) for ink, run in groupby(cells))
    return Text.assemble(*runs, no_wrap=True)


def _cell(value: float, whole: float, width: int) -> int:
    """Return the cell edge nearest to `value`, within the bar."""
    if whole <= 0:
        return 0
    return round(min(max(value / whole, 0.0), 1.0) * width)


def size_bar(
    width: int,
    *,
    max_size: float | None,
    guest_size: float | None,
    held: float | None,
    target_size: float | None,
) -> Text:
    """Return a guest's memory at a glance: held, permitted but not held, and in the balloon.

    A line marks the target while the guest has visibly not reached it.
    """
    if not max_size or guest_size is None:
        return Text("·" * width, style="dim", no_wrap=True)
    layers = [Layer(held or 0, HELD), Layer(guest_size, OUTSTANDING)]
    moving = target_size is not None and abs(target_size - guest_size) * width >= max_size
    return layered_bar(width, max_size, layers, target_size if moving else None)


def pressure_style(pressure: float) -> str:
    """Return the colour of a pressure from 0 to 1."""
    if pressure < CALM:
        return "green"
    return "yellow" if pressure < UNEASY else "bold red"


def gauge(width: int, pressure: float | None) -> Text:
    """Return a pressure (0 to 1) as a bar with its percentage, `width` cells in all."""
    if pressure is None:
        return Text("-".rjust(width), style="dim", no_wrap=True)
    pressure = min(max(pressure, 0.0), 1.0)
    bar_width = width - 5
    eighths = round(pressure * bar_width * 8)
    if pressure > 0.005:
        eighths = max(eighths, 1)
    bar = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
    style = pressure_style(pressure)
    return Text.assemble(
        (bar, style),
        ("·" * (bar_width - len(bar)), "dim"),
        (f"{pressure:5.0%}", style if pressure >= CALM else "dim"),
        no_wrap=True,
    )


class Spark(NamedTuple):
    """One column of a sparkline: a level from 0 to 1, and the pressure that colours it."""

    level: float
    pressure: float


def sparkline(columns: Sequence[Spark | None]) -> Text:
    """Return one character a column; None is a time without figures."""
    text = Text(no_wrap=True)
    for column in columns:
        if column is None:
            text.append(" ")
            continue
        level = min(max(column.level, 0.0), 1.0)
        style = "cyan" if column.pressure < CALM else pressure_style(column.pressure)
        text.append(_SPARKS[min(int(level * len(_SPARKS)), len(_SPARKS) - 1)], style=style)
    return text
