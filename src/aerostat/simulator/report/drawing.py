"""Drawing: axes, lines, areas, bars and markers, as SVG. Pure.

A `Panel` is one diagram. A page shows panels one by one, so that they find room on a telephone;
`sheet` puts several into one picture that stands by itself. Colours are classes of the style
sheet (`aerostat.simulator.report.palette`), so that a picture follows light and dark.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from aerostat.simulator.report import palette
from aerostat.simulator.report.scales import Scale

Point = tuple[float, float]

_GAP = 16
_LETTER = 6.4
"""Pixels that a letter of 12 pixels' height takes in the middle."""

_INK = {
    "text { fill: %s }": ("#51606f", "#a9b5c4"),
    ".title, .strong { fill: %s }": ("#1d2733", "#e8edf3"),
    ".paper, .hollow { fill: %s }": ("#ffffff", "#14191f"),
    ".grid { stroke: %s }": ("#e6ebf0", "#29323c"),
    ".edge { stroke: %s }": ("#9ca8b5", "#5b6875"),
    ".limit { stroke: %s }": ("#1d2733", "#e8edf3"),
    ".limit-word { fill: %s }": ("#1d2733", "#e8edf3"),
    ".limit-word, .figure { stroke: %s }": ("#ffffff", "#14191f"),
    ".held { fill: %s }": ("#4f93d8", "#3f7fc2"),
    ".idle { fill: %s }": ("#cfe2f6", "#24405e"),
    ".balloon { fill: %s }": ("#eef1f4", "#222a33"),
    ".odd { fill: %s }": ("#7fb2e5", "#2f639c"),
    ".harm { fill: %s }": ("#d64545", "#ff7b7b"),
    ".front { stroke: %s }": ("#c3ccd6", "#3c4855"),
}
_SHAPE = """
text { font: 12px system-ui, "DejaVu Sans", sans-serif }
.title { font-size: 14px; font-weight: 600 } .strong { font-weight: 600 } .small { font-size: 11px }
.limit-word, .figure { paint-order: stroke; stroke-width: 3; stroke-linejoin: round }
.limit { stroke-dasharray: 5 3; stroke-width: 1.3 } .front { stroke-width: 6; fill: none }
.line { fill: none; stroke-width: 1.5; stroke-linejoin: round } .line.ours { stroke-width: 3 }
.faint { opacity: .75 }
"""


def style(policies: Iterable[str]) -> str:
    """Return the style sheet of pictures in which these policies are drawn."""
    light = " ".join(rule % colours[0] for rule, colours in _INK.items())
    dark = " ".join(rule % colours[1] for rule, colours in _INK.items())
    return f"{_SHAPE}{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n" + palette.style(
        sorted(set(policies))
    )


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram: what it shows in words, its size in pixels, and what is drawn."""

    title: str
    width: float
    height: float
    body: str

    def svg(self) -> str:
        """Return it for a page that has `style`."""
        return (
            f'<svg viewBox="0 0 {self.width:.0f} {self.height:.0f}" role="img" '
            f'aria-label="{escape(self.title)}" xmlns="http://www.w3.org/2000/svg">'
            f"{self.body}</svg>"
        )


def sheet(
    title: str,
    panels: Sequence[Panel],
    columns: int,
    policies: Sequence[str],
    key: Sequence[Panel] = (),
) -> str:
    """Return panels in rows of `columns` as a picture that stands by itself, the text of a file.

    `policies` are those that the panels show; `key` is a legend to stand above all of
    them. Raises `ValueError` where there are no panels.
    """
    columns = min(columns, len(panels))
    wide = max(panel.width for panel in panels)
    width = _GAP + columns * (wide + _GAP)
    parts, top = [text(_GAP, 24, title, "title")], 40.0
    left = float(_GAP)
    for item in key:
        if left + item.width > width - _GAP:
            left, top = float(_GAP), top + item.height
        parts.append(_moved(item, left, top))
        left += item.width
    top += key[-1].height + _GAP if key else 0
    for first in range(0, len(panels), columns):
        row = panels[first : first + columns]
        for place, panel in enumerate(row):
            parts.append(_moved(panel, _GAP + place * (wide + _GAP), top))
        top += max(panel.height for panel in row) + _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {top:.0f}" '
        f'width="{width:.0f}" height="{top:.0f}">\n<style>{style(policies)}</style>\n'
        '<rect width="100%" height="100%" class="paper"/>\n' + "\n".join(parts) + "</svg>\n"
    )


def _moved(panel: Panel, left: float, top: float) -> str:
    return f'<g transform="translate({left:.0f} {top:.0f})">{panel.body}</g>'


@dataclass(frozen=True, slots=True)
class Frame:
    """Where values lie in a panel: a rectangle in pixels with a scale each way."""

    left: float
    top: float
    width: float
    height: float
    x: Scale
    y: Scale

    @property
    def right(self) -> float:
        """The right edge, pixels."""
        return self.left + self.width

    @property
    def floor(self) -> float:
        """The lower edge, pixels."""
        return self.top + self.height

    def at(self, point: Point) -> Point:
        """Return the pixels of a value each way."""
        return (
            round(self.left + self.width * self.x.place(point[0]), 1),
            round(self.floor - self.height * self.y.place(point[1]), 1),
        )

    def axes(self, x_name: str = "", y_name: str = "", *, marks: bool = True) -> str:
        """Return the grid, the marks of both scales (or only the upright one's) and their names."""
        parts = []
        for mark in self.y.marks:
            y = self.at((self.x.low, mark.value))[1]
            parts.append(f'<path class="grid" d="M{self.left} {y}H{self.right}"/>')
            parts.append(text(self.left - 6, y + 4, mark.text, anchor="end"))
        parts.append(f'<path class="edge" d="M{self.left} {self.floor}H{self.right}"/>')
        if marks:
            parts += self._x_marks()
        if x_name:
            middle = self.left + self.width / 2
            parts.append(text(middle, self.floor + 33, x_name, anchor="middle"))
        if y_name:
            parts.append(text(self.left - 6, self.top - 10, y_name, "small", anchor="start"))
        return "".join(parts)

    def _x_marks(self) -> list[str]:
        """Return the marks below, but for those that would touch the one before."""
        parts, taken = [], -1e9
        for mark in self.x.marks:
            x = self.at((mark.value, self.y.low))[0]
            half = text_width(mark.text) / 2
            if x - half < taken + 6:
                continue
            taken = x + half
            parts.append(f'<path class="edge" d="M{x} {self.floor}v4"/>')
            parts.append(text(x, self.floor + 17, mark.text, anchor="middle"))
        return parts

    def line(self, points: Sequence[Point], policy: str, *, faint: bool = False) -> str:
        """Return a line through points, in the policy's colour and dash."""
        look = palette.look(policy)
        dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
        kinds = f"line s-{look.key}" + " ours" * look.strong + " faint" * faint
        return f'<path class="{kinds}" d="{path(map(self.at, points))}"{dash}/>'

    def stairs(self, points: Sequence[Point]) -> str:
        """Return the path that goes up or down to the height of each next point, then level."""
        places = [self.at(point) for point in points]
        turns = [f"V{y}H{x}" for x, y in places[1:]]
        return f"M{places[0][0]} {places[0][1]}" + "".join(turns)

    def area(self, xs: Iterable[float], lower: Iterable[float], upper: Iterable[float]) -> str:
        """Return the path of what lies between two lines."""
        triples = list(zip(xs, lower, upper, strict=True))
        there = [self.at((x, high)) for x, _, high in triples]
        back = [self.at((x, low)) for x, low, _ in reversed(triples)]
        return path([*there, *back]) + "Z"

    def limit(self, value: float, word: str) -> str:
        """Return a dashed line across at a value, with a word at its right end."""
        y = self.at((self.x.low, value))[1]
        return f'<path class="limit" d="M{self.left} {y}H{self.right}"/>' + text(
            self.right - 2, y - 5, word, "limit-word small", anchor="end"
        )

    def dot(self, point: Point, policy: str, told: str = "", *, hollow: bool = False) -> str:
        """Return the policy's marker at a point; `told` is shown to who points at it."""
        x, y = self.at(point)
        return marker(x, y, policy, told, hollow=hollow)


def path(places: Iterable[Point]) -> str:
    """Return a path through places in pixels."""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in places)


def filled(drawn: str, kind: str, told: str = "") -> str:
    """Return the inside of a path, of a class; `told` is shown to who points at it."""
    return f'<path class="{kind}" d="{drawn}">{_told(told)}</path>'


def text(x: float, y: float, words: str, kind: str = "", *, anchor: str = "start") -> str:
    """Return words at a place; `anchor` is the place's end of them: start, middle or end."""
    of_class = f' class="{kind}"' if kind else ""
    at = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{of_class}{at}>{escape(words)}</text>'


def bar(x: float, y: float, width: float, height: float, kind: str, told: str = "") -> str:
    """Return a filled rectangle of a class."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.0):.1f}" height="{height:.1f}" '
        f'class="{kind}">{_told(told)}</rect>'
    )


def marker(x: float, y: float, policy: str, told: str = "", *, hollow: bool = False) -> str:
    """Return the marker of a policy at a place in pixels."""
    look = palette.look(policy)
    r = 5.0 if look.strong else 3.6
    match look.marker:
        case "square":
            shape = f"M{x - r:.1f} {y - r:.1f}h{2 * r}v{2 * r}h{-2 * r}z"
        case "triangle":
            shape = f"M{x - 1.2 * r:.1f} {y + r:.1f}h{2.4 * r}L{x:.1f} {y - 1.2 * r:.1f}z"
        case "diamond":
            q = 1.3 * r
            shape = f"M{x - q:.1f} {y:.1f}l{q} {-q}l{q} {q}l{-q} {q}z"
        case "cross":
            shape = (
                f"M{x - r:.1f} {y - r / 3:.1f}h{2 * r / 3:.1f}v{-2 * r / 3:.1f}h{2 * r / 3:.1f}"
                f"v{2 * r / 3:.1f}h{2 * r / 3:.1f}v{2 * r / 3:.1f}h{-2 * r / 3:.1f}"
                f"v{2 * r / 3:.1f}h{-2 * r / 3:.1f}v{-2 * r / 3:.1f}h{-2 * r / 3:.1f}z"
            )
        case _:
            shape = f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"
    return filled(shape, f"s-{look.key} hollow" if hollow else f"f-{look.key}", told)


def legend(policies: Iterable[str]) -> list[Panel]:
    """Return a small panel a policy: how it is drawn, and its name."""
    panels = []
    for policy in policies:
        look = palette.look(policy)
        dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
        kind = f"line s-{look.key}" + " ours" * look.strong
        body = (
            f'<path class="{kind}" d="M2 10h22"{dash}/>'
            + marker(13, 10, policy)
            + text(29, 14, policy, "strong" if look.strong else "")
        )
        width = 46 + text_width(policy, strong=look.strong)
        panels.append(Panel(policy, width, 20, body))
    return panels


def text_width(words: str, *, strong: bool = False) -> float:
    """Return about how many pixels words take, so that they do not touch."""
    return len(words) * _LETTER * (1.08 if strong else 1.0)


def _told(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""
