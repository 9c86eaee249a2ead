"""The accounts: three figures a guest, never confused, and the ledger of grants.

* its **size**: the RAM that it may use, a permission. A grant counts from the moment it is made,
  a shrink only when the balloon has really grown;
* what it **holds** on the host: resident, measured;
* the **outstanding** rest between them, which it may fault in at any moment without asking.

The ledger remembers each grant until the host has seen it used or it was taken back, so that the
same free byte is never promised twice. When a manager starts, balloons are empty and permissions
may exceed the budget: that is the **exposure**.
"""

from dataclasses import dataclass

import numpy as np

from aerostat.engine.observation import FloatArray, Guests, Hosts
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
    """What it occupies; where that is not known, all that it is permitted."""
    granted: FloatArray
    """What was granted and not yet seen used."""
    asked: FloatArray
    """What was asked and is not reached yet; NaN when nothing is under way."""


@dataclass(frozen=True, slots=True, eq=False)
class Accounts:
    """The sums of each host, bytes."""

    budget: FloatArray
    held: FloatArray
    permitted: FloatArray
    outstanding: FloatArray
    granted: FloatArray
    available: FloatArray
    """What the host itself says it could give; infinite where that is not known."""
    reserved: FloatArray
    """What is claimed for guests that are yet to come."""

    @property
    def exposure(self) -> FloatArray:
        """How far permissions exceed the budget."""
        return np.maximum(self.permitted - self.budget, 0.0)

    @property
    def spare(self) -> FloatArray:
        """What may be granted: budget that is neither permitted to anybody nor reserved."""
        return np.maximum(self.budget - self.reserved - self.permitted, 0.0)

    @property
    def cover(self) -> FloatArray:
        """What the host could really back now: what is neither held nor granted, and is there."""
        return np.maximum(np.minimum(self.budget - self.held, self.available) - self.granted, 0.0)

    @property
    def urgency(self) -> FloatArray:
        """How near the host is to its budget, 0 to 1; above 1 it is over it."""
        return np.divide(
            self.held + self.granted,
            self.budget,
            out=np.full_like(self.budget, np.inf),
            where=self.budget >= 1.0,
        )


def keep_ledger(state: State, guests: Guests) -> Ledger:
    """Return each guest's accounts now. `state` is aligned with `guests`, which are sane."""
    under_way = np.abs(state.asked - guests.guest_size) > SETTLED
    asked = np.where(under_way, state.asked, np.nan)
    permitted = np.fmax(guests.guest_size, asked)
    held = np.where(np.isnan(guests.held), permitted, guests.held)
    used = np.nan_to_num(np.maximum(held - state.held, 0.0), nan=0.0)
    # A grant can be at most as large as what the guest may still fault in.
    granted = np.clip(state.granted - used, 0.0, np.maximum(permitted - held, 0.0))
    return Ledger(permitted=permitted, held=held, granted=granted, asked=asked)


def add_up(ledger: Ledger, guests: Guests, hosts: Hosts) -> Accounts:
    """Return the sums over each host's guests. Both are sane."""

    def total(column: FloatArray) -> FloatArray:
        return np.bincount(guests.host, column, minlength=len(hosts)).astype(np.float64)

    return Accounts(
        budget=hosts.budget,
        held=total(ledger.held),
        permitted=total(ledger.permitted),
        outstanding=total(np.maximum(ledger.permitted - ledger.held, 0.0)),
        granted=total(ledger.granted),
        available=np.nan_to_num(hosts.available, nan=np.inf, posinf=np.inf),
        reserved=hosts.reserved,
    )
