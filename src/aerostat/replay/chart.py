"""The past in a terminal: an area chart of sizes, and a strip each for what else there is.

Every part has a glyph of its own beside its colour. Pure: to `rich.text.Text`.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from rich.text import Text

from aerostat.engine.observation import FloatArray
from aerostat.replay.axes import size_marks, time_marks
from aerostat.replay.past import Past
from aerostat.replay.times import duration_text, range_text
from aerostat.tui.bars import Spark, pressure_style, sparkline
from aerostat.units import format_size

_LABEL = 10  # cells left of the chart, ...
_SIDE = 22  # ... and right of it, where strips say their figures
_HEIGHT = 12
_SPARK = 0.55  # how full a strip's columns are at the least, so that small changes show
_BLOCKS = " ▁▂▃▄▅▆▇█"

_USED = ("█", "cyan")
_IDLE = ("░", "blue")

Cell = tuple[str, str]


class _Layers(NamedTuple):
    """What the chart stacks: `used` below, then up to `size`; both in bytes a column."""

    used: FloatArray
    size: FloatArray
    highest: float
    used_text: str
    idle_text: str


def chart(past: Past, width: int) -> Text:
    """Return the past, drawn `width` cells wide."""
    columns = max(width - _LABEL - 1 - _SIDE, 10)
    layers = _layers(past, columns)
    each = duration_text((past.until - past.since) / columns)
    lines = [
        Text.assemble(
            (past.name, "bold"),
            f"  {range_text(past.since, past.until)}, a column is {each}",
        ),
        _legend(layers),
        *_area(layers),
        _axis(past, columns),
        *_strips(past, columns),
    ]
    return Text("\n").join(lines)


def _layers(past: Past, columns: int) -> _Layers:
    if past.key is None:
        size, used = past.fitted("permitted_mean", columns), past.fitted("held_mean", columns)
        budget = past.fitted("budget_mean", columns)
        highest = _highest(size, used, budget)
        return _Layers(used, size, highest, "held by the guests", "permitted, not held")
    size, used = past.fitted("guest_size_mean", columns), past.fitted("demand_max", columns)
    unknown = np.isnan(used)
    used = np.where(unknown, size - past.fitted("available_memory_min", columns), used)
    highest = _highest(size, past.fitted("max_size_max", columns))
    return _Layers(used, size, highest, "in use", "idle")


def _highest(*columns: FloatArray) -> float:
    known = [float(np.nanmax(column)) for column in columns if not np.isnan(column).all()]
    return max([1.0, *known])


def _legend(layers: _Layers) -> Text:
    return Text.assemble(
        *(_USED, f" {layers.used_text}   ", _IDLE, f" {layers.idle_text}"), style="dim"
    )


def _area(layers: _Layers) -> list[Text]:
    marks = size_marks(layers.highest, 5)
    top = marks[-1].place
    rows = _HEIGHT // (len(marks) - 1) * (len(marks) - 1)
    labels = {round(mark.place / top * rows): mark.text for mark in marks[1:]}
    unit = top / rows
    lines = []
    for row in range(rows, 0, -1):
        low = (row - 1) * unit
        cells = [
            _cell((used - low) / unit, (size - low) / unit)
            for used, size in zip(layers.used, layers.size, strict=True)
        ]
        label = labels.get(row, "")
        edge = "┤" if label else "│"
        lines.append(Text.assemble((f"{label:>{_LABEL - 1}} {edge}", "dim"), *_runs(cells)))
    return lines


def _cell(used: float, size: float) -> Cell:
    """Return what shows where the row is filled up to these parts of it."""
    if np.isnan(size):
        return " ", ""
    eighths = 0 if np.isnan(used) else round(min(max(used, 0.0), 1.0) * 8)
    if eighths == 8:
        return _USED
    if eighths:
        return _BLOCKS[eighths], _USED[1]
    return _IDLE if size >= 0.5 else (" ", "")


def _runs(cells: Sequence[Cell]) -> list[Cell]:
    grouped = ((style, list(run)) for style, run in groupby(cells, key=lambda cell: cell[1]))
    return [("".join(glyph for glyph, _ in run), style) for style, run in grouped]


def _axis(past: Past, columns: int) -> Text:
    line, labels = ["─"] * columns, [" "] * (columns + _LABEL + 8)
    length = max(past.until - past.since, 1e-3)
    free = 0
    for mark in time_marks(past.since, past.until, columns // 16 + 1):
        place = round((mark.place - past.since) / length * (columns - 1))
        at = max(0, _LABEL + place - len(mark.text) // 2)
        line[place] = "┬"
        if at >= free and at + len(mark.text) <= len(labels):
            labels[at : at + len(mark.text)] = mark.text
            free = at + len(mark.text) + 1
    ruler = f"{'0':>{_LABEL - 1}} └" + "".join(line)
    return Text(f"{ruler}\n{''.join(labels).rstrip()}", style="dim")


def _strips(past: Past, columns: int) -> list[Text]:
    if past.key is None:
        strips = [
            _size_strip(past, "available", "available", columns),
            _size_strip(past, "budget", "budget", columns),
            _pressure_strip(past, columns),
        ]
    else:
        strips = [
            _size_strip(past, "held", "held", columns),
            _size_strip(past, "available_memory", "available", columns),
            _pressure_strip(past, columns),
            *(_harm_strip(past, name, columns) for name in ("swap_out", "oom_kills")),
        ]
    return [strip for strip in (*strips, _moves_strip(past, columns)) if strip is not None]


def _size_strip(past: Past, name: str, label: str, columns: int) -> Text | None:
    values = past.fitted(f"{name}_mean", columns)
    if np.isnan(values).all():
        return None
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    span = max(high - low, 0.1 * high, 1.0)
    sparks = [
        None if np.isnan(value) else Spark(_SPARK + (1 - _SPARK) * (value - low) / span, 0.0)
        for value in values
    ]
    flat = format_size(low) == format_size(high)
    said = format_size(high) if flat else f"{format_size(low)} to {format_size(high)}"
    return _strip(label, sparkline(sparks), said)


def _pressure_strip(past: Past, columns: int) -> Text | None:
    values = past.fitted("pressure_max", columns)
    if np.isnan(values).all():
        return None
    sparks = [None if np.isnan(value) else Spark(value, value) for value in values]
    return _strip("pressure", sparkline(sparks), f"up to {np.nanmax(values):.0%}")


def _harm_strip(past: Past, name: str, columns: int) -> Text | None:
    values = np.nan_to_num(past.fitted(name, columns), nan=0.0)
    if not values.any():
        return None
    total = float(values.sum())
    said = f"{total:.0f}" if name == "oom_kills" else format_size(total)
    signs = Text("".join("!" if value else " " for value in values), style=pressure_style(1.0))
    return _strip(name.replace("_", " "), signs, said)


def _moves_strip(past: Past, columns: int) -> Text | None:
    if not past.moves:
        return None
    length = max(past.until - past.since, 1e-3)
    grown, shrunk = np.zeros(columns), np.zeros(columns)
    for move in past.moves:
        place = int((move.wall - past.since) / length * columns)
        change = move.to_size - move.from_size
        if 0 <= place < columns:
            grown[place] += max(change, 0)
            shrunk[place] += max(-change, 0)
    cells: list[Cell] = [
        (" ", "")
        if not up and not down
        else ("◆", "yellow")
        if up and down
        else ("▲", "green")
        if up
        else ("▼", "magenta")
        for up, down in zip(grown, shrunk, strict=True)
    ]
    count = len(past.moves)
    said = f"{count} move{'' if count == 1 else 's'}"
    return _strip("▲ ▼", Text.assemble(*_runs(cells)), said)


def _strip(label: str, line: Text, said: str) -> Text:
    return Text.assemble((f"{label:>{_LABEL - 1}}  ", "dim"), line, (f" {said}", "dim"))
