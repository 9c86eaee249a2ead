"""Time passes for many guests at once, whose balloons are moved. Pure; compiled, by Numba."""

from typing import Any

import numpy as np

from aerostat.model import compiled
from aerostat.model.columns import Column
from aerostat.model.demand import Outcome
from aerostat.model.living import live_all
from aerostat.model.pace import PACE, Pace
from aerostat.model.plans import Plans
from aerostat.model.rows import ROWS
from aerostat.model.state import State


def advance(
    state: State,
    plans: Plans,
    target_size: Column | float,
    host_stall: Column | float,
    now: float,
    dt: float,
    count: int,
    pace: Pace = PACE,
    *,
    compile: bool = True,  # noqa: A002 - what it is; nothing here wants the built-in one
) -> Outcome:
    """Let `count` intervals of `dt` seconds pass from `now` on, and return what came of them.

    `target_size` is what each guest's balloon is to leave it, bytes; NaN is nothing new.
    `host_stall` is the probability that a page which a guest touches was swapped out by the host.
    Each is one for all or one a guest. Guests that are not there by their plans stay as they are.
    The state is changed in place; the outcome sums over all intervals.

    Without `compile` the same comes out, some hundred times slower. Raises `MissingError` where
    Numba is not installed.
    """
    live = compiled.live_all() if compile else live_all
    outcome = Outcome.blank(len(state))
    record: Any = np.zeros(ROWS) if compile else [0.0] * ROWS
    live(
        state.table,
        outcome.table,
        record,
        plans.arrays(),
        np.zeros(len(state)) + target_size,
        np.zeros(len(state)) + host_stall,
        float(now),
        float(dt),
        int(count),
        pace,
    )
    return outcome
