"""ESXi's reclaim: shares, and a tax on idle memory.

Source: C. Waldspurger, Memory Resource Management in VMware ESX Server (OSDI 2002), and VMware's
documentation of ESXi 6 for the states and the balloon's limit. A guest with shares ``S``, memory
``P`` and the active fraction ``f`` of it pays::

    rho = S / (P * (f + k * (1 - f))),   k = 1 / (1 - tax),   tax = 0.75

for its memory, and what is revoked is taken from whoever pays least, page after page, until all
pay the same or have nothing to give. Here that is done at once: where ``A = f * P`` is active,
``P`` grows with the level by ``S`` up to ``A`` and by ``S / k`` beyond it, which is water-filling.

Memory is revoked while the host has less free than 64 % of its least, until it has that least;
from then on what is free beyond it is given back, by shares. The least is 899 MiB of the first
28 GiB, in proportion where there is less, and 1 % of the rest. Guests are looked at every 15
seconds, and at once when the state changes. The balloon takes 65 % of a guest's RAM at most.

What is active ESXi finds by sampling pages. A guest's figures show what is in use and not to be
had without harm, of which a slow average, a fast one and the newest figure are kept, and the
largest counts. Of a guest that says nothing all counts as active.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from aerostat.engine.fill import share_out, waterfill
from aerostat.engine.observation import FloatArray, Guests, Hosts
from aerostat.engine.policies.base import Decision, Knob, Knobs, Memory
from aerostat.engine.policies.figures import available_memory, host_free, within_limits
from aerostat.units import GIB, MIB, format_size

PERIOD = 15.0
"""Seconds between two looks while nothing changes (Mem.BalancePeriod)."""
SLOW, FAST = 120.0, 30.0
"""Time constants of the averages of what is active, seconds."""
LEAST, LEAST_UPTO, LEAST_BEYOND = 899 * MIB, 28 * GIB, 0.01


class Known(NamedTuple):
    """What is remembered of guests and of hosts."""

    guests: Memory
    hosts: Memory


@dataclass(frozen=True, slots=True)
class Esxi:
    """Take from those that pay least for what they have, where idle memory costs more."""

    name: ClassVar[str] = "esxi"
    KNOBS: ClassVar[Knobs] = {
        "tax": Knob(0.0, 0.95),
        "soft": Knob(0.3, 0.95),
        "least": Knob(0.25, 4.0, logarithmic=True),
        "balloon": Knob(0.4, 0.9),
    }

    tax: float = 0.75
    """Share of its idle memory that a guest may lose before others lose active memory."""
    soft: float = 0.64
    """Share of the least free memory below which memory is revoked."""
    least: float = 1.0
    """Times the least free memory that ESXi would want for such a host."""
    balloon: float = 0.65
    """Share of a guest's RAM that its balloon takes at most."""
    interval: float = 1.0

    def start(self) -> Known:
        """Return the memory of a manager that has seen nothing."""
        return Known(Memory.blank(), Memory.blank())

    def step(
        self, memory: Known, now: float, hosts: Hosts, guests: Guests
    ) -> tuple[Known, Decision]:
        """Return what is revoked, or what is given back."""
        hosts, guests = hosts.sane(), guests.sane()
        size, host = guests.guest_size, guests.host
        averages, active = _active(memory.guests, now, guests)

        wanted = np.minimum(hosts.budget, LEAST_UPTO) * (LEAST / LEAST_UPTO)
        wanted += np.maximum(hosts.budget - LEAST_UPTO, 0.0) * LEAST_BEYOND
        wanted *= self.least
        free = host_free(hosts, guests)
        before = memory.hosts.aligned(hosts.names, tight=0.0, due=-np.inf)
        was_tight = before["tight"] > 0
        tight = (free < self.soft * wanted) | (was_tight & (free < wanted))
        looks = (now >= before["due"]) | (tight != was_tight)

        amount = np.maximum(hosts.budget - hosts.reserved - wanted, 0.0)
        revoked = self._revoked(amount, active, guests)
        spare = np.maximum(free - wanted, 0.0)
        room = np.maximum(guests.ceiling - size, 0.0)
        given = size + share_out(spare, room, guests.shares, host)
        target = within_limits(np.where(tight[host], revoked, given), guests)
        target = np.where(looks[host] & (target != size), target, np.nan)

        def why(row: int) -> str:
            state = f"the host has {format_size(free[host[row]])} free"
            if np.isnan(target[row]):
                return f"keeps its {format_size(size[row])}: {state}"
            words = f"{format_size(active[row])} of its {format_size(size[row])} are active"
            return f"has {format_size(target[row])}: {words}, and {state}"

        due = np.where(looks, now + PERIOD, before["due"])
        columns = {"tight": tight.astype(np.float64), "due": due}
        return Known(averages, Memory(hosts.names, columns)), Decision(target, why)

    def _revoked(self, amount: FloatArray, active: FloatArray, guests: Guests) -> FloatArray:
        """Return sizes at which all pay the same for their memory, and which sum to `amount`."""
        idle_cost = 1.0 / (1.0 - self.tax)
        low = np.maximum(guests.guarantee, (1.0 - self.balloon) * guests.max_size)
        low = np.where(guests.managed, np.minimum(low, guests.ceiling), guests.guest_size)
        high = np.where(guests.managed, guests.ceiling, guests.guest_size)
        active = np.minimum(active, high)
        # Two vessels a guest: the active part, and the idle part. The latter begins to fill at
        # the level at which the former is full.
        bottom = active / idle_cost
        used = np.minimum(low, active), active
        idle = bottom + np.maximum(low - active, 0.0), bottom + high - active
        hidden = np.bincount(guests.host, bottom, minlength=len(amount))
        parts = waterfill(
            amount + hidden,
            np.concatenate((used[0], idle[0])),
            np.concatenate((used[1], idle[1])),
            np.concatenate((guests.shares, guests.shares / idle_cost)),
            np.concatenate((guests.host, guests.host)),
        )
        return parts[: len(guests)] + parts[len(guests) :] - bottom


def _active(memory: Memory, now: float, guests: Guests) -> tuple[Memory, FloatArray]:
    """Follow what each guest uses; return the averages, and the largest of them."""
    idle = available_memory(guests)
    used = np.clip(guests.guest_size - idle, 0.0, guests.guest_size)
    newest = np.where(np.isnan(used), guests.guest_size, used)
    known = memory.aligned(guests.keys, slow=np.nan, fast=np.nan, at=now)
    elapsed = np.maximum(now - known["at"], 0.0)
    columns = {"at": np.full(len(guests), now)}
    for name, constant in (("slow", SLOW), ("fast", FAST)):
        last = np.where(np.isnan(known[name]), newest, known[name])
        columns[name] = newest + (last - newest) * np.exp(-elapsed / constant)
    largest = np.maximum(np.maximum(columns["slow"], columns["fast"]), newest)
    return Memory(guests.keys, columns), largest
