"""An interval of time passes for guests, one after another, with no compiler: for a process guest.

Pure and deterministic, with no clock: `dt` is given. Guests do not know of each other: one among
thousands comes to the same as alone. The state is changed in place. `aerostat.model.advance` is
the same for thousands.
"""

from aerostat.model.balloon import UNBOUNDED, deflate_guest, inflate_guest
from aerostat.model.columns import Column
from aerostat.model.demand import Demand, Outcome
from aerostat.model.interval import pass_interval
from aerostat.model.pace import PACE, Pace
from aerostat.model.reclaim import whole_pages
from aerostat.model.rows import DEMAND_ROWS, OUTCOME_ROWS, STATE_ROWS
from aerostat.model.state import State


def step(state: State, demand: Demand, dt: float, pace: Pace = PACE) -> Outcome:
    """Let `dt` seconds pass, and return what came of them."""
    outcome = Outcome.blank(len(state))
    disk = whole_pages(pace.disk * dt)
    for row in range(len(state)):
        # A list, since single elements of an array take Python ten times as long.
        guest = state.table[:, row].tolist() + demand.table[:, row].tolist()
        guest += [0.0] * OUTCOME_ROWS
        pass_interval(guest, dt, pace, disk, 0.0)
        state.table[:, row] = guest[:STATE_ROWS]
        outcome.table[:, row] = guest[STATE_ROWS + DEMAND_ROWS :]
    return outcome


def inflate(state: State, amount: Column) -> Column:
    """Take up to `amount` bytes from the guests into their balloons; return how much it was.

    It takes no time; what can be had is taken. See `aerostat.model.balloon`.
    """
    got = amount.copy()
    for row in range(len(state)):
        guest = state.table[:, row].tolist()
        got[row], _ = inflate_guest(guest, float(amount[row]), UNBOUNDED)
        state.table[:, row] = guest
    return got


def deflate(state: State, amount: Column) -> Column:
    """Give the guests back up to `amount` bytes of their balloons; return how much it was."""
    given = amount.copy()
    for row in range(len(state)):
        guest = state.table[:, row].tolist()
        given[row] = deflate_guest(guest, float(amount[row]))
        state.table[:, row] = guest
    return given
