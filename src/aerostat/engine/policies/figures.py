"""What rules of other managers read of guests and hosts, in the words of this project.

Pure. Sizes are bytes, NaN is *not known*. Guests and hosts are sane (`Guests.sane`).
"""

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import FloatArray, Guests, Hosts
from aerostat.engine.policies.base import sums


def free_memory(guests: Guests) -> FloatArray:
    """Return what each guest's kernel has free, cache not counted."""
    return guests.statistics[:, Tag.FREE_MEMORY]


def available_memory(guests: Guests) -> FloatArray:
    """Return what programs of each guest could take; what is free, where it does not say so."""
    available = guests.statistics[:, Tag.AVAILABLE_MEMORY]
    return np.where(np.isnan(available), free_memory(guests), available)


def free_and_caches(guests: Guests) -> FloatArray:
    """Return what is free and in the page cache; what is free, where caches are not told."""
    return free_memory(guests) + np.nan_to_num(guests.statistics[:, Tag.DISK_CACHES], nan=0.0)


def host_free(hosts: Hosts, guests: Guests) -> FloatArray:
    """Return what each host has left: its budget less what guests hold and what is reserved.

    It is what these managers call the host's free or available memory, the budget being all that
    the host has for its guests; no more than the host's own MemAvailable, where that is known.
    """
    held = np.where(np.isnan(guests.held), guests.guest_size, guests.held)
    left = np.maximum(hosts.budget - hosts.reserved - sums(held, guests, hosts), 0.0)
    return np.fmin(left, hosts.available)


def unassigned(hosts: Hosts, guests: Guests) -> FloatArray:
    """Return what no guest of each host is permitted to use; less than nothing if overcommitted.

    That is the free memory of hypervisors whose guests hold all of their size.
    """
    return hosts.budget - hosts.reserved - sums(guests.guest_size, guests, hosts)


def within_limits(target: FloatArray, guests: Guests) -> FloatArray:
    """Return `target` in whole pages between guarantee and ceiling; NaN for unmanaged guests."""
    pages = np.floor(np.clip(target, guests.guarantee, guests.ceiling) / PAGE_SIZE)
    return np.where(guests.managed, np.maximum(pages * PAGE_SIZE, guests.guarantee), np.nan)


def minimum_size(guests: Guests, share: float) -> FloatArray:
    """Return the least size of each guest: its guarantee, or `share` of its RAM where that is more.

    Several managers know a minimum of their own, and do nothing for guests that have none.
    """
    return np.minimum(np.maximum(guests.guarantee, share * guests.max_size), guests.ceiling)
