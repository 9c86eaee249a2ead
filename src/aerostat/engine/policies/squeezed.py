"""XenServer's memory ballooning daemon.

Source: xapi-project/squeezed, the design document and ``lib/squeeze.ml``, commit 1c23bfe2 of
2020-07-15. One fraction for all active guests of a host::

    most  = free + sum of max(0, size - minimum - 2 * inaccuracy)
    gamma = clamp(max(0, most - host_free) / sum of (maximum - minimum), 0, 1)
    size  = minimum + gamma * (maximum - minimum)

in two phases: while any guest is to give, only those that give are asked. One that was asked and
has not moved for five seconds is inactive: it is left out, and held at what it has or was asked
for. It looks at no figure of a guest at all. ``free`` is what nobody is permitted to use, for Xen's
guests hold all that they are permitted.

The original reconsiders every ten seconds and then watches until all have moved; here it does both
every five. A guest's minimum is its guarantee, or the share `minimum` of its RAM
where that is more.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.policies.base import Decision, Knob, Knobs, Memory, sums
from aerostat.engine.policies.figures import minimum_size, unassigned, within_limits
from aerostat.units import MIB, format_size

INACCURACY = PAGE_SIZE
"""How far from its target a balloon may stop."""
LEAST_CHANGE = MIB
"""Nobody waits for less than that."""


@dataclass(frozen=True, slots=True)
class Squeezed:
    """Give every guest the same fraction of the way from its minimum to its maximum."""

    name: ClassVar[str] = "squeezed"
    KNOBS: ClassVar[Knobs] = {
        "minimum": Knob(0.2, 0.75, logarithmic=True),
        "host_free": Knob(1.0 * MIB, 1024.0 * MIB, logarithmic=True),
    }

    minimum: float = 0.25
    """Share of its RAM below which a guest is never taken, nor below its guarantee."""
    host_free: float = 9.0 * MIB
    """What the host keeps."""
    interval: float = 5.0

    def start(self) -> Memory:
        """Return the memory of a manager that has seen nothing."""
        return Memory.blank()

    def step(
        self,
        memory: Memory,
        now: float,  # noqa: ARG002 - part of the protocol
        hosts: Hosts,
        guests: Guests,
    ) -> tuple[Memory, Decision]:
        """Return who is to give, or, when all have given, who gets."""
        hosts, guests = hosts.sane(), guests.sane()
        size, host = guests.guest_size, guests.host
        known = memory.aligned(guests.keys, asked=np.nan, size=np.nan)
        asked = known["asked"]
        still = np.abs(size - known["size"]) < INACCURACY
        stuck = still & (np.abs(size - asked) > LEAST_CHANGE)
        active = guests.managed & ~stuck

        least = minimum_size(guests, self.minimum)
        spare = np.where(active, np.maximum(size - least - 2 * INACCURACY, 0.0), 0.0)
        most = unassigned(hosts, guests) + sums(spare, guests, hosts)
        span = sums(np.where(active, guests.ceiling - least, 0.0), guests, hosts)
        surplus = np.maximum(most - self.host_free, 0.0)
        gamma = np.divide(surplus, span, out=np.ones_like(span), where=span > 0)
        gamma = np.minimum(gamma, 1.0)
        wish = within_limits(least + gamma[host] * (guests.ceiling - least), guests)

        gives = active & (wish < size - LEAST_CHANGE)
        giving = sums(gives.astype(np.float64), guests, hosts) > 0
        target = np.where(active & (gives | ~giving[host]), wish, np.nan)
        held = within_limits(np.fmin(asked, size), guests)
        target = np.where(stuck, held, target)
        # Who is not asked for anything now keeps to what it has.
        asked = np.where(np.isnan(target), size, target)

        def why(row: int) -> str:
            if stuck[row]:
                return f"is left out at {format_size(target[row])}: its balloon does not move"
            if np.isnan(target[row]):
                return f"keeps its {format_size(size[row])} until the others have given"
            share = f"{gamma[host[row]]:.0%} of the way from its minimum to its maximum"
            return f"has {format_size(target[row])}: {share}"

        return Memory(guests.keys, {"asked": asked, "size": size}), Decision(target, why)
