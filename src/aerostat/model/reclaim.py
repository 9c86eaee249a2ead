"""Reclaim: what a kernel lets go when memory is short, in which order, and what that costs. Pure.

The order is Linux's, as far as it can be seen from outside: files that were read once go first;
then files in use and, where there is swap, anonymous memory, in a proportion by their amounts and
the swappiness; what was written has to be on the disk first.
"""

from typing import NamedTuple

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.model.state import Column, State, whole
from aerostat.units import GIB, KIB, MIB

# Linux's vm.swappiness by default, of 200: the weight of anonymous memory against files.
_SWAPPINESS = 60.0
# What is in use is passed over once or twice before it is let go.
_SCANS_OF_USED = 2.0
# What one allocation that has to wait reclaims: SWAP_CLUSTER_MAX pages (Linux, mm/vmscan.c).
STALL_BATCH = 32 * PAGE_SIZE


class Pace(NamedTuple):
    """How fast a guest is at what it does with memory, in bytes a second."""

    background: float = 1.0 * GIB
    """What kswapd gets through, of clean files."""
    reclaim: float = 2.0 * GIB
    """What a program that has to reclaim itself gets through, of clean files."""
    disk: float = 250.0 * MIB
    """Swap and files, by faults and by writing back: small pieces each."""
    fault_cluster: float = 32.0 * KIB
    """How much one major fault brings in, with what is read ahead."""


PACE = Pace()


class Reclaimed(NamedTuple):
    """What was reclaimed, one element a guest, in bytes."""

    freed: Column
    scanned: Column
    written: Column
    """What had to be written first, to the swap or to files, ..."""
    swapped: Column
    """... and which part of it went to the swap."""


def reclaim(
    state: State, goal: Column, disk: Column | float, spared: Column | float = 0.0
) -> Reclaimed:
    """Free `goal` bytes of each guest, or what can be had, writing at most `disk` bytes of it.

    Of files in use, `spared` bytes stay.
    """
    clean = np.minimum(goal, state.cache)
    state.cache -= clean
    rest = goal - clean
    cleaned = np.minimum(np.minimum(rest, state.dirty), disk)
    state.dirty -= cleaned
    rest -= cleaned

    room = np.minimum(state.swap_size - state.swapped, disk - cleaned)
    cold = np.minimum(state.anonymous, room)
    weight = cold * _SWAPPINESS
    used_files = np.maximum(state.hot_cache - spared, 0.0)
    weights = weight + used_files * (200.0 - _SWAPPINESS)
    share = np.divide(weight, weights, out=np.zeros_like(weight), where=weights > 0)
    swapped = np.minimum(whole(rest * share), cold)
    hot = np.minimum(rest - swapped, used_files)
    # Where there are no files left, the rest is anonymous.
    swapped = np.minimum(rest - hot, cold)
    state.hot_cache -= hot
    state.anonymous -= swapped
    state.swapped += swapped
    state.swap_out += swapped

    used = hot + swapped
    freed = clean + cleaned + used
    state.free += freed
    # Those who found nothing have looked at all that there is.
    scanned = clean + cleaned + used * _SCANS_OF_USED + (rest - used) * (goal > 0)
    return Reclaimed(freed, scanned, cleaned + swapped, swapped)


def reclaimable(state: State) -> Column:
    """Return how much could be reclaimed, if there were time enough."""
    cold = np.minimum(state.anonymous, state.swap_size - state.swapped)
    return state.cache + state.dirty + state.hot_cache + cold
