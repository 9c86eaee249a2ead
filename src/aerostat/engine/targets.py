"""The policy: which size each guest should have, if all of it could be done at once.

The budget is divided in pourings (`aerostat.engine.fill`), each over all guests of a host:

1. up to its **entitlement**, its share of the budget when all want more, a guest gets what it
   says that it needs, reserve included: nobody else's claim touches that;
2. what is spare then goes to guests that use more than their entitlement, real use before
   anybody's reserve;
3. then to those that have more without showing a need, and from which nothing may be taken now
   (stale or silent, stuck, or lately harmed): they may keep it, at the cost of others' comfort;
4. what is left, but for a small pool, makes everybody comfortable, except in ``density`` mode,
   which leaves it to the host.

So a guest's word about itself raises its target beyond its entitlement only out of what is spare.
"""

from dataclasses import dataclass

import numpy as np

from aerostat.engine.estimates import Estimates
from aerostat.engine.fill import waterfill
from aerostat.engine.observation import BoolArray, FloatArray, Guests, Hosts
from aerostat.engine.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """One row a guest, bytes."""

    entitlement: FloatArray
    """The guest's share of the budget when all want more; at least its guarantee."""
    want: FloatArray
    """What it needs: demand and reserve, or what it has where that is not known."""
    needed: FloatArray
    """The part of `want` that the budget can give."""
    target: FloatArray
    """`needed`, and what makes it comfortable."""


def divide(
    hosts: Hosts,
    guests: Guests,
    estimates: Estimates,
    movable: BoolArray,
    blind: BoolArray,
    keeps: BoolArray,
    settings: Settings,
) -> Targets:
    """Divide each host's budget among its guests.

    Guests that are not `movable` keep the size that they have, and the rest share what that
    leaves. `blind` marks guests whose need is not known, `keeps` those that cannot be shrunk now.
    """
    low = np.where(movable, guests.guarantee, guests.guest_size)
    high = np.where(movable, guests.ceiling, guests.guest_size)
    budget = np.maximum(hosts.budget - hosts.reserved, 0.0)

    def pour(low: FloatArray, high: FloatArray) -> FloatArray:
        return waterfill(budget, low, high, guests.shares, guests.host)

    def pour_onto(base: FloatArray, brim: FloatArray, share: float = 1.0) -> FloatArray:
        """Divide what `base` leaves by increments, so that nobody starts with a handicap."""
        spent = np.bincount(guests.host, base, minlength=len(budget))
        room = np.maximum(brim - base, 0.0)
        rest = np.maximum(share * budget - spent, 0.0)
        return base + waterfill(rest, np.zeros_like(room), room, guests.shares, guests.host)

    entitlement = pour(low, high)
    known = np.where(blind, guests.guest_size, estimates.demand + estimates.reserve)
    want = np.clip(np.where(np.isnan(guests.pinned), known, guests.pinned), low, high)
    needed = np.minimum(want, entitlement)
    needed = pour_onto(needed, np.where(blind, 0.0, np.minimum(want, estimates.in_use)))
    needed = pour_onto(needed, np.where(blind, 0.0, want))
    needed = pour_onto(needed, want)
    keep = np.where(keeps, np.clip(guests.guest_size, low, high), 0.0)
    target = pour_onto(needed, np.maximum(keep, needed))
    if settings.mode == "need":
        comfortable = ~blind & np.isnan(guests.pinned)
        brim = np.where(comfortable, high, 0.0)
        target = pour_onto(target, brim, 1.0 - settings.pool_share)
    return Targets(entitlement=entitlement, want=want, needed=needed, target=target)
