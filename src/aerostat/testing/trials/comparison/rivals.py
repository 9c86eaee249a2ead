"""Rules of other managers, put after the same memory held as our manager. Pure.

Proxmox's rule has four fifths of its host in use. On a host of exactly the budget it would hold a
fifth less than others, and its guests would pay for it. So it is shown a host that is so much
larger; what its guests may hold stays the same, and beyond it the host swaps. MOM's rule begins to
squeeze at four fifths, and comes to hold more than the budget all the same: it is shown what is.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from aerostat.engine.observation import FloatArray, Guests, Hosts
from aerostat.engine.policies import catalogue
from aerostat.engine.policies.base import Decided, Policy, sums
from aerostat.engine.settings import Settings
from aerostat.testing.trials.comparison.scenes import START

# What our manager is after, as a share of the budget.
_OURS = 1.0 - Settings().pool_share


@dataclass(slots=True)
class Contender:
    """A policy that is shown a host `scale` times as large, whose guests start with `START`."""

    name: ClassVar[str] = "contender"

    policy: Policy
    scale: float
    interval: float

    def start(self) -> Any:
        """Return what it remembers at first."""
        return self.policy.start()

    def boots_at(self, hosts: Hosts, guests: Guests) -> FloatArray:  # noqa: ARG002 - the simulator's
        """Return the size with which each guest begins."""
        return np.full(len(guests), float(START))

    def step(self, memory: Any, now: float, hosts: Hosts, guests: Guests) -> tuple[Any, Decided]:
        """Return what the policy remembers, and what it decides."""
        if self.scale != 1.0:
            budget = hosts.budget * self.scale
            held = sums(np.fmin(guests.held, np.inf), guests, hosts)
            hosts = replace(hosts, budget=budget, available=np.maximum(budget - held, 0.0))
        return self.policy.step(memory, now, hosts, guests)


def contender(name: str) -> Contender:
    """Return the policy that `name` names (`catalogue.find`). Raises `UsageError`."""
    policy = catalogue.find(name)
    used = getattr(policy, "host_used", None)
    return Contender(policy, 1.0 if used is None else _OURS / used, policy.interval)
