"""Lines over time as SVG, for reports. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from aerostat.units import MIB

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 980, 64, 12, 26, 22
_TICKS_X, _TICKS_Y = 10, 4

STYLE = """
svg text { font: 11px system-ui, sans-serif; fill: #51606f } svg .title { font-weight: 600;
font-size: 13px; fill: #1d2733 } svg .grid { stroke: #e6ebf0 } svg .mark { stroke: #c0271a;
stroke-dasharray: 2 3 } svg .word { fill: #c0271a } svg path { stroke-width: 1.5 }
"""
_GAP = 8

Points = Sequence[tuple[float, float | None]]
"""Seconds and bytes; None breaks the line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot."""

    name: str
    colour: str
    points: Points
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines of bytes over seconds; `marks` are moments with a word each."""

    title: str
    lines: tuple[Line, ...]
    seconds: float
    top: float
    marks: tuple[tuple[float, str], ...] = ()
    height: int = 150
    _unit: float = field(default=float(MIB), repr=False)

    def svg(self) -> str:
        """Return the picture, for a page that has `STYLE`."""
        return (
            f'<svg viewBox="0 0 {_WIDTH} {self.height}" width="100%" role="img" '
            f'aria-label="{escape(self.title)}" xmlns="http://www.w3.org/2000/svg">'
            + self.parts()
            + "</svg>"
        )

    def parts(self) -> str:
        """Return what is in the picture."""
        lines = map(self._line, self.lines)
        return "".join([*self._grid(), *map(self._mark, self.marks), *lines])

    def _x(self, seconds: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * seconds / max(self.seconds, 1e-9), 1)

    def _y(self, size: float) -> float:
        floor = self.height - _BOTTOM
        return round(floor - (floor - _TOP) * min(size / self.top, 1.0), 1)

    def _grid(self) -> list[str]:
        right, floor = _WIDTH - _RIGHT, self.height - _BOTTOM
        parts = [f'<text x="{_LEFT}" y="14" class="title">{escape(self.title)}</text>']
        at = right
        for line in reversed(self.lines):
            at -= 9 * len(line.name) + 26
            dash = ' stroke-dasharray="4 3"' if line.dashed else ""
            parts.append(
                f'<path d="M{at} 10h16" stroke="{line.colour}" stroke-width="2"{dash}/>'
                f'<text x="{at + 20}" y="14">{escape(line.name)}</text>'
            )
        for step in range(_TICKS_Y + 1):
            size = self.top * step / _TICKS_Y
            y = self._y(size)
            label = f"{size / self._unit:.0f} MiB"
            parts.append(
                f'<path d="M{_LEFT} {y}H{right}" class="grid"/>'
                f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{label}</text>'
            )
        for step in range(_TICKS_X + 1):
            seconds = self.seconds * step / _TICKS_X
            parts.append(
                f'<text x="{self._x(seconds)}" y="{floor + 15}" text-anchor="middle">'
                f"{seconds:.0f} s</text>"
            )
        return parts

    def _mark(self, mark: tuple[float, str]) -> str:
        seconds, word = mark
        x, floor = self._x(seconds), self.height - _BOTTOM
        return (
            f'<path d="M{x} {_TOP}V{floor}" class="mark"/>'
            f'<text x="{x + 3}" y="{_TOP + 10}" class="word">{escape(word)}</text>'
        )

    def _line(self, line: Line) -> str:
        commands, pen = [], "M"
        for seconds, size in line.points:
            if size is None:
                pen = "M"
                continue
            commands.append(f"{pen}{self._x(seconds)} {self._y(size)}")
            pen = "L"
        dash = ' stroke-dasharray="4 3"' if line.dashed else ""
        return f'<path d="{"".join(commands)}" stroke="{line.colour}" fill="none"{dash}/>'


def sheet(plots: Sequence[Plot]) -> str:
    """Return plots one below the other, as one picture that stands by itself."""
    parts, top = [], _GAP
    for plot in plots:
        parts.append(f'<g transform="translate(0 {top})">{plot.parts()}</g>')
        top += plot.height + _GAP
    return (
        f'<svg viewBox="0 0 {_WIDTH} {top}" xmlns="http://www.w3.org/2000/svg">'
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
        + "\n".join(parts)
        + "</svg>\n"
    )
