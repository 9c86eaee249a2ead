"""The pictures of results: bars of density and of harm, fronts, what lost samples cost. Pure."""

from collections.abc import Callable, Iterable, Sequence

from aerostat.simulator.report import palette, scales
from aerostat.simulator.report.drawing import Frame, Panel, bar, text, text_width
from aerostat.simulator.report.rows import Part, Row
from aerostat.simulator.report.sums import LIMIT, Line, front, policies, whole

_WIDTH = 340
_BAR, _STEP = 13, 18
_TOP = 32
_FIGURE = 46
"""Room to the right of the longest bar for its figure, pixels."""
_HEIGHT = 220
_TRIED = (Part.SEARCH, Part.DENSITY, Part.EQUAL, Part.GIVEN)


def density_bars(family: str, lines: Sequence[Line]) -> Panel:
    """Return how many guests each policy holds, and the bound as a line."""
    guests = {line.policy: float(line.guests) for line in lines if line.guests is not None}
    bound = guests.pop(palette.BOUND, None)
    scale = scales.numbers(max([*guests.values(), bound or 1.0]), 4)
    frame = _bar_frame(guests, scale)
    parts = [_bars(frame, guests)]
    if bound is not None:
        x = frame.at((bound, 0.0))[0]
        parts.append(f'<path class="limit" d="M{x} {frame.top - 3}V{frame.floor}"/>')
        word = f"{palette.BOUND} {bound:.0f}"
        parts.append(text(x, frame.top - 7, word, "limit-word small", anchor="middle"))
    parts.append(_figures(frame, guests, lambda value: f"{value:.0f}"))
    return _bar_panel(frame, family, "guests on a host", parts)


def harm_bars(family: str, lines: Sequence[Line]) -> Panel:
    """Return the mean slowdown of guests under each policy, among equally many guests."""
    known = [(line.equal.mean_slowdown, line.policy) for line in lines if line.equal]
    harm = {policy: slowdown for slowdown, policy in sorted(known)}
    guests = next((line.equal.guests for line in lines if line.equal), 0)
    frame = _bar_frame(harm, scales.harms(max(harm.values(), default=0.0)))
    unit = f"mean slowdown among {guests} guests"
    parts = [_bars(frame, harm), _figures(frame, harm, scales.format_share)]
    return _bar_panel(frame, family, unit, parts)


def fronts(family: str, rows: Iterable[Row]) -> Panel:
    """Return density against harm: each number of guests that was tried, for each policy.

    The wide pale steps are the front: nobody but the bound has more guests at as little harm,
    and none of them killed.
    """
    here = [row for row in whole(rows) if row.family == family and row.part in _TRIED]
    highest = max([row.p99_slowdown for row in here], default=LIMIT)
    guests = [float(row.guests) for row in here]
    across = scales.numbers(max(guests, default=1.0), low=min(guests, default=0.0))
    frame = _frame(across, scales.harms(max(highest, LIMIT)))
    reached = [_tried(row) for row in here if row.policy != palette.BOUND and not row.kills]
    steps = front(reached)
    parts = [text(4, 16, family, "title"), frame.axes("guests on a host", "slowdown, 99th of 100")]
    if len(steps) > 1:
        parts.append(f'<path class="front" d="{frame.stairs(steps)}"/>')
    parts.append(frame.limit(LIMIT, "harm limit"))
    # Ours last, so that it lies on top.
    for policy in reversed(policies(here)):
        mine = {row.guests: row for row in here if row.policy == policy}
        points = [_tried(mine[count]) for count in sorted(mine)]
        if len(points) > 1:
            parts.append(frame.line(points, policy, faint=True))
        parts += [
            frame.dot(_tried(row), policy, _told(row), hollow=row.kills > 0)
            for row in mine.values()
        ]
    return Panel(f"{family}: density against harm", _WIDTH, frame.floor + 44, "".join(parts))


def _tried(row: Row) -> tuple[float, float]:
    return float(row.guests), row.p99_slowdown


def _told(row: Row) -> str:
    killed = f", {row.kills:.0f} killed" if row.kills else ""
    return f"{row.policy}: {row.guests} guests, {scales.format_share(row.p99_slowdown)}{killed}"


def degradation(family: str, rows: Iterable[Row], of: str) -> Panel | None:
    """Return the mean slowdown over the share of samples lost or over their age, if it was run.

    `of` is ``loss`` or ``delay``, the column that varies; of the other its least value counts.
    """
    other = "delay" if of == "loss" else "loss"
    here = [row for row in rows if row.family == family and row.part in (Part.GIVEN, Part.EQUAL)]
    least = min((getattr(row, other) for row in here), default=0.0)
    here = [row for row in here if getattr(row, other) == least]
    reached = {float(getattr(row, of)) for row in here}
    if len(reached) < 2:
        return None
    harm = scales.shares(max(row.mean_slowdown for row in here))
    if of == "loss":
        frame, name = _frame(scales.shares(max(reached)), harm), "samples lost"
    else:
        frame, name = _frame(scales.seconds(max(reached)), harm), "age of a sample"
    parts = [text(4, 16, family, "title"), frame.axes(name, "mean slowdown")]
    for policy in reversed(policies(here)):
        mine = [row for row in here if row.policy == policy]
        points = sorted((float(getattr(row, of)), row.mean_slowdown) for row in mine)
        parts.append(frame.line(points, policy))
        parts += [
            frame.dot(point, policy, f"{policy}: {scales.format_share(point[1])}")
            for point in points
        ]
    return Panel(f"{family}: harm over {name}", _WIDTH, frame.floor + 44, "".join(parts))


def _frame(across: scales.Scale, up: scales.Scale) -> Frame:
    left = 14 + max(text_width(mark.text) for mark in up.marks)
    return Frame(left, _TOP + 14, _WIDTH - left - 20, _HEIGHT, across, up)


def _bar_frame(names: Iterable[str], scale: scales.Scale) -> Frame:
    shown = list(names)
    left = 14 + max((text_width(name, strong=True) for name in shown), default=0.0)
    height = _STEP * len(shown) + 4
    return Frame(left, _TOP + 12, _WIDTH - left - _FIGURE, height, scale, scales.numbers(1))


def _bars(frame: Frame, values: dict[str, float]) -> str:
    parts = [_upright_grid(frame)]
    for place, (policy, value) in enumerate(values.items()):
        look = palette.look(policy)
        y = frame.top + 4 + place * _STEP
        kind = "strong" if look.strong else ""
        parts.append(text(frame.left - 6, y + 11, policy, kind, anchor="end"))
        length = frame.width * frame.x.place(value)
        parts.append(bar(frame.left, y, length, _BAR, f"f-{look.key}"))
    return "".join(parts)


def _figures(frame: Frame, values: dict[str, float], words: Callable[[float], str]) -> str:
    """Return the figures at the ends of bars, to lie above whatever else is there."""
    parts = []
    for place, (policy, value) in enumerate(values.items()):
        x = frame.at((value, 0.0))[0] + 5
        kind = "figure strong" if palette.look(policy).strong else "figure"
        parts.append(text(x, frame.top + 15 + place * _STEP, words(value), kind))
    return "".join(parts)


def _upright_grid(frame: Frame) -> str:
    parts = [f'<path class="edge" d="M{frame.left} {frame.top}V{frame.floor}"/>']
    taken = -1e9
    for mark in frame.x.marks:
        x = frame.at((mark.value, 0.0))[0]
        if mark.value > frame.x.low:
            parts.append(f'<path class="grid" d="M{x} {frame.top}V{frame.floor}"/>')
        half = text_width(mark.text) / 2
        if x - half > taken + 6:
            parts.append(text(x, frame.floor + 16, mark.text, "small", anchor="middle"))
            taken = x + half
    return "".join(parts)


def _bar_panel(frame: Frame, family: str, unit: str, parts: list[str]) -> Panel:
    middle = frame.left + frame.width / 2
    below = text(middle, frame.floor + 34, unit, "small", anchor="middle")
    head = text(4, 16, family, "title")
    return Panel(f"{family}: {unit}", _WIDTH, frame.floor + 42, head + "".join(parts) + below)
