"""Make the pictures of the documents, in docs/pictures: ``tools/pictures.py [rooms] [demo]``.

``rooms`` is drawn from the imports that the code really has. ``demo`` is a recording of
``aerostat demo``: it boots guests, takes a minute, and needs user-mode Linux.
"""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "aerostat"
PICTURES = ROOT / "docs" / "pictures"

# What everybody uses is a floor to stand on; an arrow to it from every room would say nothing.
FLOOR = {"errors", "units"}


class Room(NamedTuple):
    """A wing of the house: its column, what it is in two short lines, and its row in the ring."""

    column: int
    lines: tuple[str, str]
    row: int = 0


class Ring(NamedTuple):
    """Rooms that only ever import to the side or downwards."""

    name: str
    motto: tuple[str, str]
    ink: str
    paper: str
    rooms: dict[str, Room]

    @property
    def rows(self) -> int:
        """Return how many rows of rooms there are."""
        return 1 + max(room.row for room in self.rooms.values())


RINGS = (
    Ring(
        "faces",
        ("what people", "see and use"),
        "#8a4b08",
        "#fdf3e4",
        {
            "cli": Room(3, ("the command line", "")),
            "demo": Room(4, ("the main job, on", "embedded guests")),
            "doctor": Room(0, ("what is wrong, and", "what mends it"), row=1),
            "metrics": Room(1, ("for Prometheus", ""), row=1),
            "replay": Room(3, ("the journal, stepped", "again; its history"), row=1),
            "tui": Room(2, ("the terminal view,", "a pure function"), row=1),
            "testing": Room(5, ("laboratory guests,", "mocks, trials"), row=1),
        },
    ),
    Ring(
        "adapters",
        ("one outside", "thing each"),
        "#0b5c74",
        "#e6f4f8",
        {
            "simulator": Room(6, ("modelled guests,", "a virtual clock")),
            "daemon": Room(3, ("the loop, journal,", "state, local API")),
            "host": Room(0, ("memory, pressure,", "cgroups, budget"), row=1),
            "hypervisors": Room(1, ("libvirt, QMP,", "guest agents"), row=1),
            "guest": Room(2, ("the driver in a", "Linux, over PCI"), row=1),
            "device": Room(4, ("vhost-user, guest", "memory, QMP"), row=1),
            "process_guest": Room(5, ("a guest that is", "a mere process"), row=1),
        },
    ),
    Ring(
        "core",
        ("pure: no I/O,", "no clock"),
        "#3f5b1b",
        "#eff5e6",
        {
            "qmp": Room(1, ("the QEMU machine", "protocol, both ends")),
            "engine": Room(3, ("the brain:", "step(…) → plan")),
            "balloon": Room(4, ("device and driver,", "statistics, pages")),
            "model": Room(6, ("how a guest", "behaves")),
            "vhost_user": Room(2, ("the conversation,", "both ends")),
            "virtio": Room(4, ("guest memory,", "rings, both sides"), row=1),
        },
    ),
)

Arrow = tuple[str, str]
Point = tuple[float, float]


# The imports.


def imports_between(source: Path) -> set[Arrow]:
    """Return who imports whom among the wings of the package at `source`."""
    found = set()
    for path in source.rglob("*.py"):
        here = path.relative_to(source).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found |= {(here, name.split(".")[1]) for name in names if name.startswith("aerostat.")}
    wings = {path.parent.name for path in source.glob("*/__init__.py")}
    return {(a, b) for a, b in found if a != b and {a, b} <= wings - FLOOR}


def essential(arrows: Iterable[Arrow]) -> set[Arrow]:
    """Return the arrows from which all others follow (the transitive reduction)."""
    arrows = set(arrows)
    after = reachable(arrows)
    return {
        (a, b)
        for a, b in arrows
        if not any((a, between) in arrows and b in after[between] for between in after[a] - {b})
    }


def reachable(arrows: Iterable[Arrow]) -> dict[str, set[str]]:
    """Return the wings that each wing leads to. Raises `ValueError` for a circle."""
    following: dict[str, set[str]] = defaultdict(set)
    for a, b in arrows:
        following[a].add(b)
    found: dict[str, set[str]] = {}

    def visit(wing: str, path: tuple[str, ...]) -> set[str]:
        if wing in path:
            raise ValueError(f"wings import each other in a circle: {' → '.join((*path, wing))}")
        if wing not in found:
            below = (visit(other, (*path, wing)) for other in following.get(wing, ()))
            found[wing] = following.get(wing, set()).union(*below)
        return found[wing]

    for wing in sorted({wing for arrow in arrows for wing in arrow}):
        visit(wing, ())
    return found


# The layout. Lengths are in the units of the picture.

MARGIN = 20
BOX_WIDTH, BOX_HEIGHT = 156, 78
COLUMN, COLUMNS = 184, 7
ROW, RING_GAP = BOX_HEIGHT + 60, 74
LEFT = MARGIN + 128  # of the first column; before it stand the rings' names
WIDTH = LEFT + COLUMNS * COLUMN + MARGIN - 8
TOP = MARGIN


def ring_height(ring: Ring) -> int:
    """Return the height of a ring with its rows."""
    return BOX_HEIGHT + 36 + (ring.rows - 1) * ROW


def ring_top(number: int) -> int:
    """Return where the ring of that number begins; one beyond the last is where all end."""
    return TOP + sum(ring_height(ring) + RING_GAP for ring in RINGS[:number])


FLOOR_TOP = ring_top(len(RINGS)) - RING_GAP + 16
FLOOR_HEIGHT = 44
HEIGHT = FLOOR_TOP + FLOOR_HEIGHT + 46


class Box(NamedTuple):
    """Where a room is drawn."""

    x: float
    y: float

    @property
    def middle(self) -> Point:
        """Return the point in its middle."""
        return self.x + BOX_WIDTH / 2, self.y + BOX_HEIGHT / 2


def boxes() -> dict[str, Box]:
    """Return where each room is drawn."""
    return {
        name: Box(
            LEFT + room.column * COLUMN,
            ring_top(number) + 18 + room.row * ROW,
        )
        for number, ring in enumerate(RINGS)
        for name, room in ring.rooms.items()
    }


def curves(arrows: Iterable[Arrow], places: Mapping[str, Box]) -> dict[Arrow, tuple[Point, ...]]:
    """Return each arrow as the four points of a cubic curve.

    Arrows to the side go straight; arrows downwards leave a room at its foot and enter at a head.
    Where several meet at one edge they stand apart, in the order of where they come from.
    """
    arrows = set(arrows)
    down = {(a, b) for a, b in arrows if places[a].y != places[b].y}
    feet: dict[Arrow, float] = {}
    heads: dict[Arrow, float] = {}
    for wing, box in places.items():
        leaving = [(places[b].x, (a, b)) for a, b in down if a == wing]
        coming = [(places[a].x, (a, b)) for a, b in down if b == wing]
        for here, ports in ((leaving, feet), (coming, heads)):
            for number, (_, arrow) in enumerate(sorted(here), start=1):
                ports[arrow] = box.x + BOX_WIDTH * number / (len(here) + 1)
    return {
        (a, b): _downwards(feet[a, b], places[a], heads[a, b], places[b])
        if (a, b) in down
        else _sideways(places[a], places[b])
        for a, b in arrows
    }


def _downwards(x1: float, start: Box, x2: float, end: Box) -> tuple[Point, ...]:
    y1, y2 = start.y + BOX_HEIGHT, end.y - 2
    bend = (y2 - y1) * 0.6
    return (x1, y1), (x1, y1 + bend), (x2, y2 - bend), (x2, y2)


def _sideways(start: Box, end: Box) -> tuple[Point, ...]:
    toward = 1 if end.x > start.x else -1
    y = start.middle[1]
    x1 = start.x + (BOX_WIDTH if toward > 0 else 0)
    x2 = end.x + (0 if toward > 0 else BOX_WIDTH) - 2 * toward
    between = (x1 + x2) / 2
    return (x1, y), (between, y), (between, y), (x2, y)


def crossed(curve: tuple[Point, ...], places: Mapping[str, Box]) -> set[str]:
    """Return the rooms that a curve runs through."""
    inside = set()
    for step in range(1, 100):
        x, y = _at(curve, step / 100)
        for name, box in places.items():
            if box.x < x < box.x + BOX_WIDTH and box.y < y < box.y + BOX_HEIGHT:
                inside.add(name)
    return inside


def _at(curve: tuple[Point, ...], t: float) -> Point:
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    return (
        sum(weight * point[0] for weight, point in zip(weights, curve, strict=True)),
        sum(weight * point[1] for weight, point in zip(weights, curve, strict=True)),
    )


# The drawing.

_STYLE = """\
text { font-family: "Inter", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; fill: #22303c; }
.ring { font-size: 17px; font-weight: 600; }
.motto, .note { font-size: 13px; fill: #5b6875; }
.wing { font: 600 16px "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.line { font-size: 12.5px; fill: #4a5763; }
.room { fill: #ffffff; stroke-width: 1.4; }
.middle { text-anchor: middle; }
.arrow { fill: none; stroke-width: 1.8; }
"""


def draw_rooms(arrows: Iterable[Arrow]) -> str:
    """Return the picture of the house, as the text of an SVG file."""
    places, ring_of = boxes(), {name: ring for ring in RINGS for name in ring.rooms}
    shown = essential(arrows)
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">',
        '<title id="title">The rooms of aerostat, and who imports whom</title>',
        f"<style>\n{_STYLE}</style>",
        "<defs>",
        *(_arrow_head(ring) for ring in RINGS),
        "</defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="14" fill="#ffffff"/>',
    ]
    for number, ring in enumerate(RINGS):
        parts += _draw_ring(ring, ring_top(number))
    for (a, b), curve in sorted(curves(shown, places).items()):
        ring = ring_of[a]
        points = [f"{x:.1f},{y:.1f}" for x, y in curve]
        parts.append(
            f'<path class="arrow" id="{a}-{b}" d="M{points[0]} C{" ".join(points[1:])}" '
            f'stroke="{ring.ink}" marker-end="url(#head-{ring.name})"/>'
        )
    for name, box in places.items():
        parts += _draw_room(name, box, ring_of[name])
    return "\n".join([*parts, *_draw_floor(), "</svg>", ""])


def _arrow_head(ring: Ring) -> str:
    return (
        f'<marker id="head-{ring.name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" '
        'markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path d="M0,0.6 L7.6,4 L0,7.4 L1.8,4 Z" fill="{ring.ink}"/></marker>'
    )


def _draw_ring(ring: Ring, y: float) -> list[str]:
    x, top = MARGIN + 18, y + ring_height(ring) / 2 - 14
    lines = enumerate(ring.motto)
    return [
        _paper(ring, y, ring_height(ring)),
        f'<text class="ring" x="{x}" y="{top}" style="fill:{ring.ink}">{ring.name}</text>',
        *(_text("motto", x, top + 21 + 17 * number, line) for number, line in lines),
    ]


def _draw_room(name: str, box: Box, ring: Ring) -> list[str]:
    x, (first, second) = box.middle[0], ring.rooms[name].lines
    top = box.y + (26 if second else 33)
    place = f'x="{box.x}" y="{box.y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}"'
    return [
        f'<rect class="room" {place} rx="9" stroke="{ring.ink}"/>',
        f'<text class="wing middle" x="{x}" y="{top}" style="fill:{ring.ink}">{name}</text>',
        _text("line middle", x, top + 19, first),
        _text("line middle", x, top + 35, second),
    ]


def _draw_floor() -> list[str]:
    ring, y = RINGS[-1], FLOOR_TOP
    names = " · ".join(sorted(FLOOR))
    note = "An arrow is an import; those that follow from others are left out. None points upwards."
    return [
        _paper(ring, y, FLOOR_HEIGHT),
        f'<text class="wing" x="{LEFT}" y="{y + 28}" style="fill:{ring.ink}">{names}</text>',
        _text("motto", LEFT + COLUMN, y + 27, "what everybody stands on"),
        _text("note", MARGIN + 18, HEIGHT - 18, f"{note} Drawn from the code."),
    ]


def _paper(ring: Ring, y: float, height: float) -> str:
    place = f'x="{MARGIN}" y="{y}" width="{WIDTH - 2 * MARGIN}" height="{height}"'
    return f'<rect {place} rx="11" fill="{ring.paper}"/>'


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>'


def make_rooms() -> None:
    """Draw the house."""
    picture = draw_rooms(imports_between(SOURCE))
    (PICTURES / "rooms.svg").write_text(picture, encoding="utf-8")


def make_demo() -> None:
    """Record a demonstration."""
    command = ["-m", "aerostat", "demo", "--for", "60", "--no-view"]
    record = ["--record", str(PICTURES / "demo.svg")]
    subprocess.run([sys.executable, *command, *record], check=True)


def main(wanted: list[str]) -> None:
    """Make the pictures `wanted`."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        {"rooms": make_rooms, "demo": make_demo}[name]()
        print(f"docs/pictures/{name}.svg")


if __name__ == "__main__":
    main(sys.argv[1:] or ["rooms", "demo"])
