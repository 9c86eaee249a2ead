"""Giving back what the ledger covers, and no more: releasing everything can kill the host.

Pure.
"""

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.engine.conditions import Condition
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.plan import Move, Plan, Reason
from aerostat.units import format_size


def release(plan: Plan, hosts: Hosts, guests: Guests, only: str | None = None) -> list[Move]:
    """Return moves that share each host's spare memory among its shrunk guests.

    A guest gets the same part of what it lacks as every other on its host; where a key is given as
    `only`, that guest gets all it lacks. What it was granted before counts as its own already, what
    it holds beyond its size is gone, and what is reserved is nobody's.
    """
    permitted = np.fmax(np.fmax(guests.guest_size, plan.asked), plan.target_size)
    lacking = np.maximum(np.fmin(guests.ceiling, guests.max_size) - permitted, 0.0)
    lacking[plan.condition == Condition.EXEMPT] = 0.0
    if only is not None:
        lacking[[key != only for key in plan.keys]] = 0.0
    granted = np.maximum(permitted - np.fmax(guests.guest_size, plan.asked), 0.0)
    grants = np.bincount(guests.host, granted, minlength=len(hosts))
    # A host may have less than its budget says; what it has not, it cannot give.
    there_is = np.nan_to_num(hosts.available, nan=0.0) - plan.accounts.granted
    spare = np.maximum(np.minimum(plan.accounts.spare, there_is) - grants, 0.0)
    lack = np.bincount(guests.host, lacking, minlength=len(hosts))
    part = np.divide(spare, lack, out=np.zeros_like(spare), where=lack > 0)
    given = lacking * np.minimum(part, 1.0)[guests.host]
    target = np.floor((permitted + given) / PAGE_SIZE) * PAGE_SIZE
    return [
        Move(
            key=plan.keys[row],
            from_size=int(guests.guest_size[row]),
            to_size=int(target[row]),
            reason=Reason.GROW_COMFORT,
            sentence=f"gets {format_size(float(given[row]))} back: the manager stops",
        )
        for row in np.flatnonzero(target > permitted)
    ]
