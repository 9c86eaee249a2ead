"""The policy: which size each guest should have, if all of it could be done at once.

What is not reserved of the budget is divided in pourings (`aerostat.engine.fill`), each over all
guests of a host:

1. up to its **entitlement**, its share when all want more, a guest gets what it says that it
   needs, reserve included: nobody else's claim touches that;
2. what is spare then goes to guests that use more than their entitlement, real use before
   anybody's reserve;
3. then brittle guests keep a little for a burst, and files get what they have shown that they are
   worth, those first that have shown it lately, and by how much is read of them;
4. then to those that have more without showing a need, and from which nothing may be taken now
   (stale or silent, stuck, or lately harmed): they may keep it, at the cost of others' comfort;
5. of what is left, but for a small pool, brittle guests become ready for a burst, and then
   everybody comfortable; except in ``density`` mode, which leaves it to the host.

What a guest holds beyond its size comes out of its own share: the pourings divide what guests may
occupy, and its size is that less its overhead.

So a guest's word about itself raises its target beyond its entitlement only out of what is spare.
A guest whose balloon frees nothing has what it has, and in the last pouring gets more: it costs
the host nothing that it holds already.
"""

from dataclasses import dataclass

import numpy as np

from aerostat.engine.accounts import Accounts, Ledger
from aerostat.engine.conditions import Condition
from aerostat.engine.estimates import Estimates
from aerostat.engine.fill import share_out, waterfill
from aerostat.engine.observation import FloatArray, Guests, IntArray
from aerostat.engine.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """One row a guest, bytes."""

    entitlement: FloatArray
    """The guest's share when all want more; at least its guarantee."""
    fair_share: FloatArray
    """What its entitlement would be if nothing were reserved."""
    want: FloatArray
    """What it needs: demand and reserve, or what it has where that is not known."""
    used: FloatArray
    """The part of `want` without which it suffers; 0 where that is not known."""
    needed: FloatArray
    """The part of `want` that the budget can give."""
    target: FloatArray
    """`needed`, and what makes it comfortable."""


def divide(
    accounts: Accounts,
    ledger: Ledger,
    lid: FloatArray,
    guests: Guests,
    estimates: Estimates,
    reserve: FloatArray,
    condition: IntArray,
    keep: FloatArray,
    settings: Settings,
) -> Targets:
    """Divide each host's budget among its guests.

    Guests that are left alone keep the size that they have, and the rest share what that leaves.
    `keep` is the size below which a guest cannot be shrunk now, 0 for none; comfort ends at the
    host's `lid`.
    """
    useless = condition == Condition.USELESS
    movable = ~useless & (condition != Condition.EXEMPT)
    blind = estimates.confidence < 1.0
    low = np.where(movable, guests.guarantee, guests.guest_size)
    high = np.where(movable, guests.ceiling, guests.guest_size)
    budget = np.maximum(accounts.limit - accounts.reserved, 0.0)
    overhead = ledger.overhead

    def share_of(amount: FloatArray) -> FloatArray:
        """Divide all of `amount` by shares, as sizes."""
        brims = low + overhead, high + overhead
        return waterfill(amount, *brims, guests.shares, guests.host) - overhead

    def pour_onto(
        base: FloatArray, brim: FloatArray, amount: FloatArray, weight: FloatArray = guests.shares
    ) -> FloatArray:
        """Divide what `base` leaves by increments, so that nobody starts with a handicap."""
        room = np.maximum(brim - base, 0.0)
        if not room.any():
            return base
        spent = np.bincount(guests.host, base + overhead, minlength=len(budget))
        return base + share_out(np.maximum(amount - spent, 0.0), room, weight, guests.host)

    fair_share = share_of(accounts.limit)
    entitlement = share_of(budget) if accounts.reserved.any() else fair_share
    known = np.where(blind, guests.guest_size, estimates.demand + reserve)
    # A word that is not believed counts up to the entitlement.
    believed = known - (1.0 - estimates.trust) * np.maximum(known - entitlement, 0.0)
    known = np.where(blind, known, believed)
    want = np.clip(np.where(np.isnan(guests.pinned), known, guests.pinned), low, high)
    used = np.where(blind, 0.0, np.minimum(want, estimates.in_use))
    needed = np.minimum(want, entitlement)
    needed = pour_onto(needed, used, budget)
    needed = pour_onto(needed, np.where(blind, 0.0, want), budget)
    needed = pour_onto(needed, want, budget)

    ours = ~blind & np.isnan(guests.pinned)
    pool = settings.pool_share * accounts.budget
    comfortable = ours & (settings.mode == "need")
    for_files = budget - settings.files_pool_part * pool
    first = np.maximum(reserve, settings.readiness_first * guests.max_size)
    first = np.clip(estimates.demand + first, low, high)
    needed = pour_onto(needed, np.where(comfortable & estimates.brittle, first, 0.0), for_files)
    by_reads = guests.shares * estimates.files.pull(settings)
    for worth in (estimates.shown_lately * estimates.files.worth, estimates.files.worth):
        files = np.clip(estimates.demand + np.maximum(reserve, worth), low, high)
        needed = pour_onto(needed, np.where(ours, files, 0.0), for_files, by_reads)
    hidden = ~np.isnan(estimates.files.programs)
    share = np.where(hidden, settings.readiness_hidden, settings.readiness)
    ready = np.clip(estimates.demand + share * guests.max_size, low, high)
    ready = np.where(comfortable & estimates.brittle, ready, 0.0)
    needed = pour_onto(needed, ready, budget - pool)
    kept = np.where(keep > 0, np.clip(keep, low, high), 0.0)
    target = pour_onto(needed, np.maximum(kept, needed), budget)
    brim = np.where(comfortable, high, 0.0)
    brim = np.where(useless, guests.ceiling, brim)
    target = pour_onto(target, brim, np.minimum(budget - pool, lid))
    return Targets(
        entitlement=entitlement,
        fair_share=fair_share,
        want=want,
        used=used,
        needed=needed,
        target=target,
    )
