"""The past as a picture: SVG of our own, which any browser shows and any program converts.

`svg` is pure; `write_picture` writes one file, and for PNG has `rsvg-convert` draw it.
"""

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aerostat.daemon.snapshot import MoveRow
from aerostat.engine.observation import FloatArray
from aerostat.errors import MissingError, UsageError
from aerostat.replay.axes import size_marks, time_marks
from aerostat.replay.past import HARM_PRESSURE, Past
from aerostat.replay.times import exact_time, range_text
from aerostat.units import format_size

_WIDTH = 960
_LEFT, _RIGHT = 84, 24
_PLOT = _WIDTH - _LEFT - _RIGHT
_COLUMNS = 426  # a value every other pixel
_SIZES_HEIGHT, _SMALL_HEIGHT, _GAP = 260, 56, 34
_MARKER = 7.0  # pixels; moves that lie closer together share a marker

_STYLE = """
text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: #4b5563 }
.title { font-size: 16px; font-weight: 600; fill: #111827 }
.grid { stroke: #111827; stroke-opacity: .1 } .edge { stroke: #9ca3af }
.balloon { fill: #eceef1 } .idle { fill: #dbeafe } .used { fill: #60a5fa }
.size { fill: none; stroke: #1e3a8a; stroke-width: 2 }
.held { fill: none; stroke: #d97706; stroke-width: 1.6 }
.limit { fill: none; stroke: #111827; stroke-width: 1.4; stroke-dasharray: 5 3 }
.pressure { fill: #ef4444; fill-opacity: .75 } .swap { fill: #a855f7 }
.felt { stroke: #ef4444; stroke-dasharray: 2 3; stroke-opacity: .6 }
.grown { fill: #059669 } .shrunk { fill: #7c3aed } .kill { stroke: #dc2626; stroke-width: 1.5 }
"""


class _Panel(NamedTuple):
    """A part of the picture, from `top` down `height` pixels, from 0 to `highest`."""

    past: Past
    top: float
    height: float
    highest: float

    def x(self, wall: float) -> float:
        """Return where a moment lies."""
        length = max(self.past.until - self.past.since, 1e-3)
        return _LEFT + (wall - self.past.since) / length * _PLOT

    def y(self, value: float) -> float:
        """Return where a value lies."""
        return self.top + self.height * (1 - min(max(value / self.highest, 0.0), 1.0))


def svg(past: Past) -> str:
    """Return the past as the text of an SVG file."""
    sizes = _Panel(past, 78, _SIZES_HEIGHT, size_marks(_highest(past), 6)[-1].place)
    parts = [*_title(past), *_size_layers(sizes), *_frame(sizes), *_kills(sizes)]
    parts += [*_size_scale(sizes), *_legend(past)]
    bottom = sizes.top + sizes.height
    if past.moves:
        parts += _moves(sizes, bottom + 12)
        bottom += 18
    for name, label, style in _small_panels(past):
        panel = _small_panel(past, name, bottom + _GAP)
        parts += [*_small(panel, name, label, style), *_frame(panel)]
        bottom = panel.top + panel.height
    parts += _time_scale(sizes, bottom)
    height = bottom + 34
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}"'
        f' width="{_WIDTH}" height="{height:.0f}">\n<style>{_STYLE}</style>\n'
        '<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def html(past: Past) -> str:
    """Return the picture as a page of its own."""
    title = escape(f"{past.name}, {range_text(past.since, past.until)}")
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<body style="margin: 2em auto; max-width: 72em">\n{svg(past)}</body>\n</html>\n'
    )


def write_picture(past: Past, path: Path) -> None:
    """Write the picture as what the name of `path` says.

    Raises `UsageError` for a name that says nothing known, `MissingError` where PNG needs a
    program that is not there.
    """
    match path.suffix.lower():
        case ".svg":
            path.write_text(svg(past), encoding="utf-8")
        case ".html" | ".htm":
            path.write_text(html(past), encoding="utf-8")
        case ".png":
            _write_png(svg(past), path)
        case _:
            raise UsageError(f"{path}: pictures are .svg, .html or .png")


def _write_png(text: str, path: Path) -> None:
    program = shutil.which("rsvg-convert")
    if program is None:
        raise MissingError("PNG needs rsvg-convert (apt-get install librsvg2-bin); or write .svg")
    done = subprocess.run(
        [program, "--zoom", "2", "--output", str(path)],
        input=text.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise MissingError(f"rsvg-convert: {done.stderr.decode(errors='replace').strip()}")


def _highest(past: Past) -> float:
    names = (
        ("budget_max", "permitted_max", "held_max")
        if past.key is None
        else ("max_size_max", "guest_size_max", "held_max")
    )
    columns = [past.column(name) for name in names]
    return max([1.0, *(float(np.nanmax(one)) for one in columns if not np.isnan(one).all())])


def _title(past: Past) -> list[str]:
    when = escape(range_text(past.since, past.until))
    return [
        f'<text x="{_LEFT}" y="28" class="title">{escape(past.name)}</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="28" text-anchor="end">{when}</text>',
    ]


def _frame(panel: _Panel) -> list[str]:
    marks = time_marks(panel.past.since, panel.past.until, 8)
    bottom = panel.top + panel.height
    lines = [
        _line(panel.x(mark.place), panel.top, panel.x(mark.place), bottom, "grid") for mark in marks
    ]
    return [*lines, _line(_LEFT, bottom, _LEFT + _PLOT, bottom, "edge")]


def _size_layers(panel: _Panel) -> list[str]:
    past = panel.past

    def column(name: str) -> FloatArray:
        return past.fitted(name, _COLUMNS)

    if past.key is None:
        return [
            _area(panel, column("permitted_mean"), "idle"),
            _area(panel, column("held_mean"), "used"),
            _steps(panel, column("permitted_mean"), "size"),
            _steps(panel, column("budget_mean"), "limit"),
        ]
    size, used = column("guest_size_mean"), column("demand_max")
    used = np.where(np.isnan(used), size - column("available_memory_min"), used)
    return [
        _area(panel, column("max_size_max"), "balloon"),
        _area(panel, size, "idle"),
        _area(panel, used, "used"),
        _steps(panel, size, "size"),
        _steps(panel, column("held_mean"), "held"),
    ]


def _legend(past: Past) -> list[str]:
    entries = (
        [
            ("used", "held by the guests"),
            ("idle", "not held"),
            ("size", "permitted to them"),
            ("limit", "budget"),
        ]
        if past.key is None
        else [
            ("used", "in use"),
            ("idle", "idle"),
            ("balloon", "in the balloon"),
            ("size", "size"),
            ("held", "held on the host"),
        ]
    )
    parts, x = [], float(_LEFT)
    for style, text in entries:
        if style in ("size", "held", "limit"):
            parts.append(_line(x, 52, x + 16, 52, style))
        else:
            parts.append(f'<rect x="{x:.0f}" y="46" width="16" height="12" class="{style}"/>')
        parts.append(f'<text x="{x + 22:.0f}" y="56">{text}</text>')
        x += 46 + 6.6 * len(text)
    if past.moves:
        signs = ((_LEFT, "grown", True, "gets"), (_LEFT + 70, "shrunk", False, "gives"))
        for offset, style, up, text in signs:
            at = x + offset - _LEFT
            parts += [
                _triangle(at + 6, 52, style, up=up),
                f'<text x="{at + 16:.0f}" y="56">{text}</text>',
            ]
    return parts


def _size_scale(panel: _Panel) -> list[str]:
    parts = []
    for mark in size_marks(panel.highest, 6):
        y = panel.y(mark.place)
        parts.append(_line(_LEFT - 4, y, _LEFT, y, "edge"))
        text = mark.text if mark.place else "0"
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return parts


def _kills(panel: _Panel) -> list[str]:
    past = panel.past
    if past.key is None:
        return []
    killed = np.flatnonzero(past.column("oom_kills") > 0)
    parts = []
    for place in killed[:50]:
        x = panel.x(float(past.history.start[place]))
        parts.append(_line(x, panel.top, x, panel.top + panel.height, "kill"))
        parts.append(f'<text x="{x + 4:.1f}" y="{panel.top + 12:.0f}">OOM kill</text>')
    return parts


def _moves(panel: _Panel, y: float) -> list[str]:
    """Return a marker for each move, or for several that lie too close together to tell."""
    markers: dict[tuple[int, bool], list[MoveRow]] = {}
    for move in panel.past.moves:
        place = int((panel.x(move.wall) - _LEFT) / _MARKER)
        markers.setdefault((place, move.to_size >= move.from_size), []).append(move)
    parts = []
    for (place, up), moves in sorted(markers.items(), key=lambda item: item[0]):
        x = _LEFT + (place + 0.5) * _MARKER
        texts = [f"{exact_time(move.wall)} {move.name} {move.sentence}" for move in moves[:4]]
        more = [f"and {len(moves) - 4} more"] if len(moves) > 4 else []
        title = escape("\n".join([*texts, *more]))
        sign = _triangle(x, y if up else y + 8, "grown" if up else "shrunk", up=up)
        parts.append(f"<g><title>{title}</title>{sign}</g>")
    return parts


def _small_panels(past: Past) -> Iterable[tuple[str, str, str]]:
    """Yield what else there is to see: a column, what it is called, its style."""
    pressure = past.column("pressure_max")
    if not np.isnan(pressure).all():
        yield "pressure_max", "pressure", "pressure"
    name = "swap_out_max" if past.key is None else "swap_out"
    if np.nan_to_num(past.column(name), nan=0.0).any():
        yield name, "swap out", "swap"


def _small_panel(past: Past, name: str, top: float) -> _Panel:
    if name == "pressure_max":
        return _Panel(past, top, _SMALL_HEIGHT, 1.0)
    values = past.fitted(name, _COLUMNS)
    return _Panel(past, top, _SMALL_HEIGHT, float(np.nanmax(values)))


def _small(panel: _Panel, name: str, label: str, style: str) -> list[str]:
    values = panel.past.fitted(name, _COLUMNS)
    share = name == "pressure_max"
    top = "100%" if share else format_size(panel.highest)
    middle = panel.top + panel.height / 2
    parts = [
        _area(panel, values, style),
        f'<text x="{_LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">{label}</text>',
        f'<text x="{_LEFT - 8}" y="{panel.top + 6:.1f}" text-anchor="end">{top}</text>',
    ]
    if share and panel.past.key is not None:
        y = panel.y(HARM_PRESSURE)
        parts.append(_line(_LEFT, y, _LEFT + _PLOT, y, "felt"))
    return parts


def _time_scale(panel: _Panel, bottom: float) -> list[str]:
    return [
        f'<text x="{panel.x(mark.place):.1f}" y="{bottom + 18:.0f}" text-anchor="middle">'
        f"{mark.text}</text>"
        for mark in time_marks(panel.past.since, panel.past.until, 8)
    ]


def _points(panel: _Panel, values: FloatArray) -> Iterable[Sequence[tuple[float, float]]]:
    """Yield the unbroken pieces of a column as points: a step for each value."""
    step = _PLOT / len(values)
    piece: list[tuple[float, float]] = []
    for place, value in enumerate(values):
        if np.isnan(value):
            if piece:
                yield piece
            piece = []
            continue
        x, y = _LEFT + place * step, panel.y(float(value))
        if len(piece) > 1 and piece[-1][1] == y:  # goes on level
            piece[-1] = (x + step, y)
        else:
            piece += [(x, y), (x + step, y)]
    if piece:
        yield piece


def _steps(panel: _Panel, values: FloatArray, style: str) -> str:
    pieces = (
        "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in piece) for piece in _points(panel, values)
    )
    return f'<path class="{style}" d="{"".join(pieces)}"/>'


def _area(panel: _Panel, values: FloatArray, style: str) -> str:
    bottom = panel.top + panel.height
    pieces = []
    for piece in _points(panel, values):
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in piece)
        pieces.append(f"M{piece[0][0]:.1f} {bottom:.1f}L{line}L{piece[-1][0]:.1f} {bottom:.1f}Z")
    return f'<path class="{style}" d="{"".join(pieces)}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'


def _triangle(x: float, y: float, style: str, *, up: bool) -> str:
    tip, base = (y - 4, y + 3) if up else (y + 3, y - 4)
    return f'<path class="{style}" d="M{x - 4:.1f} {base:.1f}H{x + 4:.1f}L{x:.1f} {tip:.1f}Z"/>'
