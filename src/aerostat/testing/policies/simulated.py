"""The check that needs the simulator: cooperative guests never hold more than the budget.

It needs what ``pip install 'aerostat[simulate]'`` brings, and takes seconds; so it is no part of
what `checking.check_policy` does unasked: give it `promises=(*PROMISES, SIMULATED)`.
"""

from aerostat.engine.policies.base import Policy
from aerostat.simulator.run import simulate
from aerostat.simulator.workloads import FAMILIES
from aerostat.simulator.world import House
from aerostat.testing.policies.promises import Kind, Promise
from aerostat.testing.policies.stage import Broken

_GUESTS = 12
_SECONDS = 300.0
_SHARE = 0.6
"""The budget, of what all guests have at most together: what they need fits easily."""


def within_the_budget(policy: Policy) -> None:
    """Check that hosts whose guests obey, and need far less than there is, keep to the budget."""
    houses = []
    for name in ("steady", "build"):
        guests = FAMILIES[name].guests(1, _GUESTS, _SECONDS)
        budget = _SHARE * sum(guest.max_size for guest in guests)
        houses.append(House(name, budget, guests))
    found = simulate(houses, policy, seconds=_SECONDS, warm_up=60.0).houses
    for row, name in enumerate(found.names):
        if found.host_oom_kills[row]:
            raise Broken(f"{name}: the host kills {found.host_oom_kills[row]:.0f} guests")
        if found.over_budget_seconds[row]:
            over = found.over_budget_seconds[row]
            raise Broken(f"{name}: guests hold more than the budget for {over:.0f} s")


SIMULATED = Promise(
    "budget",
    Kind.SAFETY,
    7,
    "guests that obey never hold more than the budget",
    within_the_budget,
)
