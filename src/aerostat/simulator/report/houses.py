"""Pictures of a house over time: what guests may use, hold and gave away, and what they suffer.

Pure. `summed` adds all guests up; `stacked` shows each as a layer of what it holds.
"""

import numpy as np

from aerostat.engine.observation import FloatArray
from aerostat.simulator.report import scales
from aerostat.simulator.report.drawing import Frame, Panel, bar, filled, text, text_width
from aerostat.simulator.report.rows import Recorded

_WIDTH, _HEIGHT, _HARM = 460, 200, 44
_TOP, _LEFT, _RIGHT, _GAP = 58, 66, 16, 30
_COLUMNS = 120
"""Moments that are drawn; three pixels each."""
_LEAST_HARM = 0.05
"""The scale of harm goes at least so far, lest a trifle look like a disaster."""


def summed(house: Recorded, highest: float, harm: float) -> Panel:
    """Return held, idle and ballooned memory of all guests together, and their mean slowdown.

    `highest` is how far the scale of bytes goes, `harm` that of slowdowns: the same for the houses
    that are shown side by side.
    """
    times = _fitted(house.times)
    held = _fitted(_together(house.held))
    size = np.maximum(_fitted(_together(house.size)), held)
    top = np.maximum(size + _fitted(_together(house.balloon)), size)
    frame = _frame(times, highest)
    bottom = np.zeros(len(times))
    parts = [
        filled(frame.area(times, size, top), "balloon"),
        filled(frame.area(times, held, size), "idle"),
        filled(frame.area(times, bottom, held), "held"),
    ]
    legend = _legend({"held": "held", "idle": "permitted, not held", "balloon": "in balloons"})
    return _panel(house, frame, [legend, *parts], harm)


def stacked(house: Recorded, highest: float, harm: float) -> Panel:
    """Return what each guest holds, one upon the other, and their mean slowdown."""
    times = _fitted(house.times)
    frame = _frame(times, highest)
    below = np.zeros(len(times))
    parts = [_legend({"held": "held, a layer a guest"})]
    for guest in range(house.held.shape[1]):
        above = below + _fitted(house.held[:, guest])
        kind = "odd" if guest % 2 else "held"
        parts.append(filled(frame.area(times, below, above), kind, f"guest {guest + 1}"))
        below = above
    return _panel(house, frame, parts, harm)


def highest(houses: list[Recorded]) -> float:
    """Return up to how many bytes a scale must go that suits all of these houses."""
    tops = [_together(house.size + house.balloon).max(initial=0.0) for house in houses]
    return float(max([*tops, *(house.budget for house in houses)], default=1.0))


def highest_held(houses: list[Recorded]) -> float:
    """Return the same where only what is held is shown."""
    tops = [_together(house.held).max(initial=0.0) for house in houses]
    return float(max([*tops, *(house.budget for house in houses)], default=1.0))


def highest_harm(houses: list[Recorded]) -> float:
    """Return up to which slowdown a scale must go that suits all of these houses."""
    tops = [_harm_of(house).max(initial=0.0) for house in houses]
    return float(max([*tops, _LEAST_HARM]))


def _panel(house: Recorded, frame: Frame, parts: list[str], harm: float) -> Panel:
    guests = house.held.shape[1]
    title = f"{house.policy}: {house.family}, {guests} guests"
    below = Frame(
        frame.left, frame.floor + _GAP, frame.width, _HARM, frame.x, scales.shares(harm, 2)
    )
    suffered = _harm_of(house)
    times = _fitted(house.times)
    body = [
        text(4, 16, title, "title"),
        frame.axes(marks=False),
        *parts,
        frame.limit(house.budget, "budget"),
        below.axes("", "mean slowdown of the guests"),
        filled(below.area(times, np.zeros(len(times)), _fitted(suffered)), "harm"),
    ]
    return Panel(title, _WIDTH, below.floor + 26, "".join(body))


def _harm_of(house: Recorded) -> FloatArray:
    """Return the mean slowdown of the guests that are there, a value a moment."""
    there = ~np.isnan(house.slowdown)
    counts = np.maximum(there.sum(axis=1), 1)
    means: FloatArray = np.where(there, house.slowdown, 0.0).sum(axis=1) / counts
    return means


def _together(column: FloatArray) -> FloatArray:
    """Return the sum over the guests that are there, a value a moment."""
    sums: FloatArray = np.nansum(column, axis=1)
    return sums


def _frame(times: FloatArray, top: float) -> Frame:
    across = scales.seconds(float(times[-1]) if len(times) else 1.0)
    return Frame(_LEFT, _TOP, _WIDTH - _LEFT - _RIGHT, _HEIGHT, across, scales.sizes(top))


def _legend(entries: dict[str, str]) -> str:
    parts, x = [], float(_LEFT)
    for kind, words in entries.items():
        parts.append(bar(x, 31, 14, 10, kind))
        parts.append(text(x + 19, 40, words, "small"))
        x += 34 + text_width(words)
    return "".join(parts)


def _fitted(column: FloatArray) -> FloatArray:
    """Return the column with `_COLUMNS` values at most, each the mean of its stretch."""
    column = np.nan_to_num(column)
    if len(column) <= _COLUMNS:
        return column
    edges = np.linspace(0, len(column), _COLUMNS + 1).astype(np.int64)
    sums: FloatArray = np.add.reduceat(column, edges[:-1])
    return sums / np.diff(edges)
