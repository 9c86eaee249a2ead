"""Bars side by side as SVG: one group a scene, one bar a policy, a dot for each run. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median

from aerostat.testing.trials.plots import STYLE

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 980, 190, 64, 40, 24
_GAP = 0.25  # of a group
_LINES = 4
COLOURS = ("#2a6fdb", "#d9822b", "#1a9e6b", "#8a5fbf", "#b8405e", "#51606f")


@dataclass(frozen=True, slots=True)
class Bars:
    """One picture; `groups` has, by group and bar, the values whose median the bar shows."""

    title: str
    unit: str
    bars: tuple[str, ...]
    groups: Mapping[str, Mapping[str, Sequence[float]]]

    def parts(self) -> str:
        """Return what is in the picture."""
        found = [self._legend(), *self._grid()]
        for place, group in enumerate(self.groups):
            found.append(self._group(place, group))
        return "".join(found)

    @property
    def _top(self) -> float:
        return max((v for g in self.groups.values() for vs in g.values() for v in vs), default=0)

    def _y(self, value: float) -> float:
        floor = _HEIGHT - _BOTTOM
        return round(floor - (floor - _TOP) * value / (self._top or 1.0), 1)

    def _legend(self) -> str:
        words = [f'<text x="{_LEFT}" y="14" class="title">{escape(self.title)}</text>']
        at = _LEFT
        for name, colour in zip(self.bars, COLOURS, strict=False):
            words.append(
                f'<rect x="{at}" y="21" width="10" height="10" fill="{colour}"/>'
                f'<text x="{at + 14}" y="30">{escape(name)}</text>'
            )
            at += 7 * len(name) + 34
        return "".join(words)

    def _grid(self) -> list[str]:
        values = [self._top * line / _LINES for line in range(_LINES + 1)]
        return [
            f'<path d="M{_LEFT} {self._y(value)}H{_WIDTH}" class="grid"/>'
            f'<text x="{_LEFT - 6}" y="{self._y(value) + 4}" text-anchor="end">'
            f"{_short(value)}{self.unit}</text>"
            for value in values
        ]

    def _group(self, place: int, group: str) -> str:
        each = (_WIDTH - _LEFT) / len(self.groups)
        left = _LEFT + (place + _GAP / 2) * each
        width = each * (1 - _GAP) / len(self.bars)
        middle = _LEFT + (place + 0.5) * each
        parts = [
            f'<text x="{middle:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(group)}</text>'
        ]
        for number, (name, colour) in enumerate(zip(self.bars, COLOURS, strict=False)):
            values = self.groups[group].get(name, ())
            if not values:
                continue
            x, y = left + number * width, self._y(median(values))
            parts.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width * 0.85:.1f}" '
                f'height="{_HEIGHT - _BOTTOM - y:.1f}" fill="{colour}"/>'
            )
            parts += [
                f'<circle cx="{x + width * 0.42:.1f}" cy="{self._y(value)}" r="2.2" '
                'fill="#1d2733"/>'
                for value in values
            ]
        return "".join(parts)


def sheet(pictures: Sequence[Bars]) -> str:
    """Return pictures one below the other, as one that stands by itself."""
    parts = [
        f'<g transform="translate(0 {8 + number * (_HEIGHT + 14)})">{one.parts()}</g>'
        for number, one in enumerate(pictures)
    ]
    height = 8 + len(pictures) * (_HEIGHT + 14)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" width="100%" xmlns="http://www.w3.org/2000/svg">'
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
        + "\n".join(parts)
        + "</svg>\n"
    )


def _short(value: float) -> str:
    """Return a number with three digits that count, and never as a power of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
