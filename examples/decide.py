"""Call the engine on columns made by hand, and print what it would do and why.

    .venv/bin/python examples/decide.py

No guests, no sockets, no clock: the engine is a pure function. Three guests of 1 GiB share a host
whose budget is 2 GiB. One sleeps, one works, and one has too little and feels it.
"""

import numpy as np

from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import STATISTICS, FloatArray, Guests, Hosts
from aerostat.engine.plan import Plan
from aerostat.engine.state import State
from aerostat.engine.step import step
from aerostat.units import GIB, MIB, format_size

NAMES = ("sleeper", "worker", "starving")
IN_USE = np.array([200.0, 600.0, 292.0]) * MIB


def observe(now: float, size: FloatArray, stalls: int) -> tuple[Hosts, Guests]:
    """Return what a manager would see at `now`: guests of `size` bytes, the last one stalling."""
    hosts = Hosts.of(("here",), budget=np.array([2.0 * GIB]), available=np.array([4.0 * GIB]))
    # A column for each of the 16 statistics of the queue; NaN is what a guest did not send.
    statistics = np.full((3, STATISTICS), np.nan)
    statistics[:, Tag.AVAILABLE_MEMORY] = size - IN_USE
    statistics[:, Tag.ALLOC_STALLS] = (0, 0, stalls)
    guests = Guests.of(
        NAMES,
        max_size=np.full(3, float(GIB)),
        guest_size=size,
        held=IN_USE,
        statistics=statistics,
        sample_time=np.full(3, now - 0.01),
        guarantee=np.full(3, 256.0 * MIB),
        ceiling=np.full(3, float(GIB)),
        shares=np.full(3, 1024.0),
    )
    return hosts, guests


def show(plan: Plan) -> None:
    """Print a sentence for each guest, and what is asked of its balloon now."""
    moves = {move.key: move for move in plan.moves()}
    for key in plan.keys:
        move = moves.get(key)
        asked = f"  [{format_size(move.to_size)}, {move.reason.name}]" if move else ""
        print(f"  {key} {plan.explain(key)}{asked}")


def main() -> None:
    """Take two steps, a second apart; the guests obey in between."""
    size = np.array([1024.0, 800.0, 300.0]) * MIB
    state = State.empty()
    for now, stalls in ((100.0, 0), (101.0, 25)):
        # What was learned is a value: it goes in, and comes out beside the plan.
        state, plan = step(state, now, *observe(now, size, stalls))
        print(f"at {now:.0f} s")
        show(plan)
        size = np.where(np.isnan(plan.target_size), size, plan.target_size)


if __name__ == "__main__":
    main()
