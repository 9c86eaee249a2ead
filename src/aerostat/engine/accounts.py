"""The accounts: three figures a guest, never confused, and the ledger of grants.

* its **size**: the RAM that it may use, a permission. A grant counts from the moment it is made,
  a shrink only when the balloon has really grown;
* what it **holds** on the host: resident, measured;
* the **outstanding** rest between them, which it may fault in at any moment without asking.

A virtual machine monitor has memory of its own, so a guest may hold more than its size. That
**overhead** is learned, and belongs to the guest as its size does: it counts against its own share,
and its own balloon answers for it. What a guest **occupies** is its permission and its overhead,
and never less than what it holds.

The ledger remembers each grant until the host has seen it used or it was taken back, so that the
same free byte is never promised twice. When a manager starts, balloons are empty and permissions
may exceed the budget: that is the **exposure**.

What is **reserved** for guests that are yet to come is **backed** as far as the host has it:
permitted to nobody, held by nobody, and available. What was said to be backed is a promise, too.
"""

from dataclasses import dataclass, replace

import numpy as np

from aerostat.engine.conditions import Condition
from aerostat.engine.observation import FloatArray, Guests, Hosts
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.units import MIB

SETTLED = 1 * MIB
"""A balloon this near to what was asked has arrived: drivers work in pages larger than ours, and
may keep a few."""


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """The accounts of each guest, bytes."""

    permitted: FloatArray
    """The size that the guest has or may take back at any moment."""
    held: FloatArray
    """What it holds; where that is not known, all that it is permitted."""
    overhead: FloatArray
    """What it holds beyond what it is permitted when all of that is in use, as learned."""
    granted: FloatArray
    """What was granted and not yet seen used."""
    asked: FloatArray
    """What was asked and is not reached yet; NaN when nothing is under way."""

    @property
    def outstanding(self) -> FloatArray:
        """Return what it may still fault in."""
        return np.maximum(self.permitted + self.overhead - self.held, 0.0)

    @property
    def occupied(self) -> FloatArray:
        """Return what the host must count as gone."""
        return self.held + self.outstanding


@dataclass(frozen=True, slots=True, eq=False)
class Accounts:
    """The sums of each host, bytes."""

    budget: FloatArray
    limit: FloatArray
    """The budget, or less: what guests hold and the host has left, but for a little."""
    held: FloatArray
    permitted: FloatArray
    outstanding: FloatArray
    granted: FloatArray
    available: FloatArray
    """What the host itself says it could give; infinite where that is not known."""
    occupied: FloatArray
    """What guests hold, and may come to hold."""
    reserved: FloatArray
    """What is claimed for guests that are yet to come."""
    backed: FloatArray
    """What was said to be there of it, and still is."""

    @property
    def exposure(self) -> FloatArray:
        """How far what guests hold, and may come to hold, exceeds the budget."""
        return np.maximum(self.occupied - self.budget, 0.0)

    @property
    def spare(self) -> FloatArray:
        """What may be granted to anybody: neither occupied by anybody nor reserved."""
        return np.maximum(self.limit - self.reserved - self.occupied, 0.0)

    @property
    def spare_for_entitled(self) -> FloatArray:
        """What may be granted up to entitlements: these go before claims not backed yet."""
        return np.maximum(self.limit - self.backed - self.occupied, 0.0)

    @property
    def cover(self) -> FloatArray:
        """What may be granted in distress: what the host could really back now.

        That is neither held nor granted, and is there; permissions may exceed the budget. But
        nothing is taken from a reservation that is backed.
        """
        real = np.maximum(np.minimum(self.limit - self.held, self.available) - self.granted, 0.0)
        spare = self.spare_for_entitled
        return np.where(self.backed > 0, spare, np.maximum(spare, real))

    def backing(self, grants: FloatArray) -> FloatArray:
        """Return how much of what is reserved is there, once `grants` more are made."""
        free = np.minimum(self.limit - self.occupied, self.available - self.granted)
        return np.clip(free - grants, 0.0, self.reserved)

    @property
    def urgency(self) -> FloatArray:
        """How near the host is to what it has, 0 to 1; above 1 guests hold more than that."""
        return np.divide(
            self.held + self.granted,
            self.limit,
            out=np.full_like(self.limit, np.inf),
            where=self.limit >= 1.0,
        )


def keep_ledger(state: State, elapsed: float, guests: Guests, settings: Settings) -> Ledger:
    """Return each guest's accounts, `elapsed` seconds after the last step.

    `state` is aligned with `guests`, which are sane.
    """
    under_way = np.abs(state.asked - guests.guest_size) > SETTLED
    asked = np.where(under_way, state.asked, np.nan)
    permitted = np.fmax(guests.guest_size, asked)
    held = np.where(np.isnan(guests.held), permitted, guests.held)
    used = np.fmax(held - state.held, 0.0)
    overhead = _overhead(state, elapsed, held - permitted, settings)
    # A grant can be at most as large as what the guest may still fault in.
    granted = np.clip(state.granted - used, 0.0, np.maximum(permitted + overhead - held, 0.0))
    return Ledger(permitted=permitted, held=held, overhead=overhead, granted=granted, asked=asked)


def _overhead(state: State, elapsed: float, beyond: FloatArray, settings: Settings) -> FloatArray:
    """Return each guest's overhead, `beyond` being what it holds beyond its permission now."""
    beyond = np.maximum(beyond, 0.0)
    # One odd figure teaches little; and a guest that does not use all its memory now, and so holds
    # less, still has that monitor.
    slowness = np.where(beyond > state.overhead, settings.overhead_rise, settings.overhead_fall)
    learned = beyond + (state.overhead - beyond) * np.exp(-elapsed / slowness)
    # What a balloon has taken and the host has not gained is no overhead. If it never gains it,
    # then what the guest holds says all.
    learned = np.where(np.isnan(state.gain_due), learned, state.overhead)
    return np.where(state.condition == Condition.USELESS, beyond, learned)


def add_up(
    state: State, ledger: Ledger, guests: Guests, hosts: Hosts, settings: Settings
) -> Accounts:
    """Return the sums over each host's guests. All are sane, and `state` is aligned with them."""

    def total(column: FloatArray) -> FloatArray:
        return np.bincount(guests.host, column, minlength=len(hosts)).astype(np.float64)

    held = total(ledger.held)
    available = np.nan_to_num(hosts.available, nan=np.inf, posinf=np.inf)
    # What the host must keep available goes before what its budget says.
    there_is = held + available - settings.host_floor_share * hosts.budget
    accounts = Accounts(
        budget=hosts.budget,
        limit=np.clip(there_is, 0.0, hosts.budget),
        held=held,
        permitted=total(ledger.permitted),
        outstanding=total(ledger.outstanding),
        granted=total(ledger.granted),
        available=available,
        occupied=total(ledger.occupied),
        reserved=hosts.reserved,
        backed=np.zeros(len(hosts)),
    )
    still = accounts.backing(np.zeros(len(hosts)))
    return replace(accounts, backed=np.minimum(state.host_backed, still))
