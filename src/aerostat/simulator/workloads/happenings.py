"""What happens to a guest besides its plan: it wants much more for a while. Pure, NumPy."""

from dataclasses import replace

import numpy as np

from aerostat.model.plans import Moment
from aerostat.simulator.workloads.curves import bump
from aerostat.simulator.world import GuestSpec

_AT, _HOLD = Moment._fields.index("at"), Moment._fields.index("hold")


def burst(guest: GuestSpec, at: float, size: float, seconds: float) -> GuestSpec:
    """Return the guest that wants `size` bytes more from `at` on, for `seconds`.

    It takes them as fast as its programs can.
    """
    more = bump(at, size, stay=seconds)
    table = np.array(guest.plan.moments, dtype=np.float64)
    times = np.unique(np.concatenate([table[:, _AT], more.at]))
    columns = [np.interp(times, table[:, _AT], column) for column in table.T]
    # The time itself does not stand still where the plan does.
    columns[_AT] = times
    columns[_HOLD] = columns[_HOLD] + more.over(times)
    moments = tuple(Moment(*row) for row in np.array(columns).T.tolist())
    return replace(guest, plan=replace(guest.plan, moments=moments))
