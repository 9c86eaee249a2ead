"""In the place of the model's `advance`, until there is one: crude."""

import numpy as np

from aerostat.engine.observation import FloatArray
from aerostat.model.columns import whole
from aerostat.model.demand import Outcome
from aerostat.model.plans import Plans
from aerostat.model.state import State
from aerostat.units import GIB


def advance(
    state: State,
    plans: Plans,
    target_size: FloatArray,
    stall: FloatArray,
    now: float,
    dt: float,
    count: int,
) -> Outcome:
    """Let `count` intervals pass as one."""
    outcome = Outcome.blank(len(state))
    demand = plans.demand(now, dt * count)
    gone = np.maximum(state.anonymous - demand.hold, 0.0)
    state.anonymous -= gone
    state.free += gone
    change = whole(target_size - (state.size - state.balloon))
    limit = whole(np.array([1.5 * GIB * dt * count]))
    taken = np.minimum(np.minimum(np.maximum(-change, 0.0), state.free), limit)
    given = np.minimum(np.minimum(np.maximum(change, 0.0), state.balloon), 2 * limit)
    state.balloon += taken - given
    state.free += given - taken
    state.untouched += given
    wanted = np.minimum(np.maximum(demand.hold - state.anonymous, 0.0), demand.growth)
    grown = np.minimum(wanted, state.free)
    state.anonymous += grown
    state.free -= grown
    state.untouched = np.minimum(state.untouched, state.free)
    short = (wanted - grown) / np.maximum(demand.growth, 1.0)
    outcome.lost = np.minimum(short + stall, 1.0) * dt * count
    return outcome
