"""Rows to make reports of."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aerostat.simulator.report.rows import Part, Recorded, Row, Study
from aerostat.units import GIB

MakeRow = Callable[..., Row]


@pytest.fixture
def row() -> MakeRow:
    """Return a maker of rows: ten guests of `build` under `mom`, but for what is said."""

    def make(policy: str = "mom", guests: int = 10, part: Part = Part.DENSITY, **said: Any) -> Row:
        plain: dict[str, Any] = {
            "family": "build",
            "dialect": "16",
            "seeds": (1, 2),
            "seconds": 1200.0,
            "loss": 0.0,
            "delay": 0.05,
            "budget": 16.0 * GIB,
            "guest_hours": 2.0,
            "p99_slowdown": 0.018,
            "mean_slowdown": 0.002,
            "major_faults": 400.0,
            "alloc_stalls": 20.0,
            "block_reads": 3.0 * GIB,
            "moves": 90.0,
            "mean_size": 15.0 * GIB,
            "mean_held": 12.0 * GIB,
        } | dict.fromkeys(("oom_kills", "host_oom_kills"), 0.0)
        return Row(part=part, policy=policy, guests=guests, **(plain | said))

    return make


@pytest.fixture
def house() -> Callable[[str], Recorded]:
    """Return a maker of recorded houses of three guests, one of which comes later."""

    def make(policy: str = "mom") -> Recorded:
        times = np.arange(0.0, 600.0, 10.0)
        held = np.full((60, 3), 2.0 * GIB)
        size = np.full((60, 3), 3.0 * GIB)
        for column in (held, size):
            column[:20, 2] = np.nan
        lost = np.where(np.isnan(size), np.nan, 0.01)
        return Recorded("build", policy, 1, 8.0 * GIB, times, size, held, 4 * GIB - size, lost)

    return make


@pytest.fixture
def study(row: MakeRow, house: Callable[[str], Recorded]) -> Study:
    """Return two families under four policies, and houses of two of them."""
    holds = {"aerostat": 20, "oracle": 25, "mom": 12, "static": 10}
    rows = []
    for family in ("build", "files & co"):
        for policy, count in holds.items():
            rows += [
                row(policy, count, family=family),
                row(policy, count + 3, Part.SEARCH, family=family, p99_slowdown=0.1, oom_kills=1.0),
                row(policy, 12, Part.EQUAL, family=family, mean_slowdown=0.02 / count),
                row(policy, 12, Part.EQUAL, family=family, mean_slowdown=0.1 / count, loss=0.5),
            ]
    return Study(
        "aerostat simulate <all>",
        "1.0",
        "all",
        tuple(rows),
        (house("aerostat"), house("mom")),
        ("A note.",),
        {"build": "Compilers & linkers."},
    )
