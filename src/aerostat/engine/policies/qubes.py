"""Qubes' memory manager.

Source: QubesOS/qubes-core-admin, ``qubes/qmemman``, commit 1ad5f9b8 of 2026-08-18::

    wish_i = max(min(1.3 * used_i, maximum_i), 200 MiB);   need_i = wish_i - size_i
    spare  = free - 50 MiB - sum of need
    spare > 0:  size = 0.999 * (wish_i + spare * wish_i / sum of wish), at most its maximum; what
                that leaves goes to the others in equal parts
    otherwise:  who has more than its wish gives the difference, if that is 10 MiB or more, and
                those that have less share, by wish, what there is then

and nothing is done unless all changes together exceed 150 MiB, or one guest with less than its
wish changes by more than 15 MiB. Givers go first: what is given out is there. ``free`` is what
nobody is permitted to use, for Xen's guests hold all that they are permitted.

There an agent in the guest tells what is used; here it is what is neither free nor page cache.
A guest that does not tell takes no part.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aerostat.engine.fill import share_out
from aerostat.engine.observation import BoolArray, FloatArray, Guests, Hosts
from aerostat.engine.policies.base import Decision, Knob, Knobs, sums
from aerostat.engine.policies.figures import free_and_caches, unassigned, within_limits
from aerostat.units import MIB, format_size

HOST_FREE = 50 * MIB
LEAST_GIFT = 10 * MIB
LEAST_TRANSFER = 150 * MIB
LEAST_HELP = 15 * MIB
ROUNDING = 0.999


@dataclass(frozen=True, slots=True)
class Qubes:
    """Give every guest what it uses and a margin, and divide the rest in proportion."""

    name: ClassVar[str] = "qubes"
    KNOBS: ClassVar[Knobs] = {
        "margin": Knob(1.05, 3.0, logarithmic=True),
        "minimum": Knob(32.0 * MIB, 512.0 * MIB, logarithmic=True),
    }

    margin: float = 1.3
    """Times what it uses is what a guest should have."""
    minimum: float = 200.0 * MIB
    """What every guest should have at least."""
    interval: float = 1.0

    def start(self) -> None:
        """Return nothing: it remembers nothing."""

    def step(
        self,
        memory: None,  # noqa: ARG002 - part of the protocol
        now: float,  # noqa: ARG002 - part of the protocol
        hosts: Hosts,
        guests: Guests,
    ) -> tuple[None, Decision]:
        """Return the sizes that balance what guests have with what they use."""
        hosts, guests = hosts.sane(), guests.sane()
        size, spare = guests.guest_size, free_and_caches(guests)
        told = ~np.isnan(spare) & guests.managed
        used = np.maximum(size - spare, 0.0)
        wish = np.maximum(np.minimum(self.margin * used, guests.ceiling), self.minimum)
        wish = np.where(told, np.clip(wish, guests.guarantee, guests.ceiling), 0.0)
        need = np.where(told, wish - size, 0.0)
        free = unassigned(hosts, guests) - HOST_FREE
        surplus = free - sums(need, guests, hosts)

        plenty = self._plenty(wish, surplus, told, guests, hosts)
        scarce = self._scarce(wish, need, free, told, guests, hosts)
        target = np.where((surplus > 0)[guests.host], plenty, scarce)
        target = np.where(told, within_limits(target, guests), size)
        changed = _significant(target, wish, guests, hosts)
        target = _covered(target, free, guests, hosts)
        target = np.where(told & changed[guests.host], target, np.nan)

        def why(row: int) -> str:
            if not told[row]:
                return "takes no part: it has not told what it uses"
            words = f"it uses {format_size(used[row])} and should have {format_size(wish[row])}"
            if np.isnan(target[row]):
                return f"keeps its {format_size(size[row])}: {words}"
            return f"goes from {format_size(size[row])} to {format_size(target[row])}: {words}"

        return None, Decision(target, why)

    def _plenty(
        self, wish: FloatArray, surplus: FloatArray, told: BoolArray, guests: Guests, hosts: Hosts
    ) -> FloatArray:
        """Return sizes where everybody can have its wish, and more."""
        wishes = np.maximum(sums(wish, guests, hosts), 1.0)
        more = ROUNDING * wish * (1.0 + np.maximum(surplus, 0.0) / wishes)[guests.host]
        target = np.minimum(more, guests.ceiling)
        spilled = sums(more - target, guests, hosts)
        room = np.where(told, guests.ceiling - target, 0.0)
        return target + share_out(spilled, room, np.ones(len(guests)), guests.host)

    def _scarce(
        self,
        wish: FloatArray,
        need: FloatArray,
        free: FloatArray,
        told: BoolArray,
        guests: Guests,
        hosts: Hosts,
    ) -> FloatArray:
        """Return sizes where not everybody can have its wish."""
        gift = np.where(need <= -LEAST_GIFT, -need, 0.0)
        there = free + sums(gift, guests, hosts)
        share = np.where(told & (need > 0), wish, 0.0)
        total = np.maximum(sums(share, guests, hosts), 1.0)
        return guests.guest_size - gift + share * (there / total)[guests.host]


def _significant(target: FloatArray, wish: FloatArray, guests: Guests, hosts: Hosts) -> BoolArray:
    """Tell on which hosts the changes are worth the trouble."""
    change = np.abs(target - guests.guest_size)
    helped = (guests.guest_size < wish) & (change > LEAST_HELP)
    enough = sums(change, guests, hosts) > LEAST_TRANSFER
    return np.asarray(enough | (sums(helped.astype(np.float64), guests, hosts) > 0))


def _covered(target: FloatArray, free: FloatArray, guests: Guests, hosts: Hosts) -> FloatArray:
    """Return targets of which those that grow sum up to what is free now; the rest comes later."""
    growth = np.maximum(target - guests.guest_size, 0.0)
    total = np.maximum(sums(growth, guests, hosts), 1.0)
    part = np.clip(free / total, 0.0, 1.0)[guests.host]
    return within_limits(np.where(growth > 0, guests.guest_size + part * growth, target), guests)
