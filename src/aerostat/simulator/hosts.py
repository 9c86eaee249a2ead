"""The hosts' side of the accounts: what guests hold, and what becomes of too much of it.

Adapter; NumPy, no I/O. The rules of this world:

* A house's **budget** is what its guests may hold together. What they hold beyond that is in the
  host's **swap**: pages picked at random, since a host cannot know what a guest still needs. So a
  page that a guest touches is there with the probability that the host swapped none of it; guests
  lose time in proportion (`stall`).
* Beyond its swap the host's **OOM killer** takes the guest that holds most, and the next. A guest
  that was killed is started again after `RESTART` seconds, all of which it has lost.
* A manager sees what guests hold *in memory*, the host's MemAvailable (the budget and `MARGIN`
  of it, less that), its pressure (PSI: the part of the last seconds in which its swap was busy,
  or guests waited for it) and what it swaps out.
* Where a house has **NUMA nodes**, a guest's memory is wanted on its own; what does not fit there
  lies on others, and costs `REMOTE` of the time in which it is used.
"""

from typing import NamedTuple

import numpy as np

from aerostat.engine.observation import FloatArray, Hosts, IntArray
from aerostat.simulator.world import World
from aerostat.units import MIB

RESTART = 30.0
"""Seconds from the death of a virtual machine until its system is up again."""

MARGIN = 0.04
"""Of the budget: what a host can give besides, which it keeps for itself."""

REMOTE = 0.1
"""Part of the time lost by work whose memory is all on another node."""

SWAP_RATE = 500.0 * MIB
"""What a host's swap takes or gives in a second."""

_PRESSURE_MEMORY = 10.0  # seconds over which PSI's "avg10" looks back


class Settled(NamedTuple):
    """What came of a tick."""

    stall: FloatArray
    """For each guest: the probability that a page that it touches is in the host's swap."""
    remote: FloatArray
    """For each guest: the part of its memory that is on another node."""
    killed: IntArray
    """Rows of the guests that the host's OOM killer took."""


class Houses:
    """The hosts of one block."""

    def __init__(self, world: World) -> None:
        houses = world.houses
        self.names = tuple(house.name for house in houses)
        self.budget = np.array([house.budget for house in houses], dtype=np.float64)
        self.swap_size = np.array([house.swap_size for house in houses], dtype=np.float64)
        self.held = np.zeros(len(houses))
        """What guests hold, in memory and in the host's swap."""
        self.swapped = np.zeros(len(houses))
        """How much of that is in the host's swap."""
        self.swap_out = np.zeros(len(houses))
        self.pressure = np.zeros(len(houses))
        self.oom_kills = np.zeros(len(houses))
        nodes = max(len(house.node_sizes) for house in houses)
        self._nodes = np.zeros((len(houses), nodes))
        for sizes, house in zip(self._nodes, houses, strict=True):
            sizes[: len(house.node_sizes)] = house.node_sizes
        self._node = np.array([guest.node for guest in world.guests], dtype=np.int64)

    def settle(self, held: FloatArray, house: IntArray, elapsed: float) -> Settled:
        """Account for what each guest holds now, `elapsed` seconds after the last time.

        A guest that is not there holds nothing.
        """
        killed: list[int] = []
        self.held = self._sum(held, house)
        # One after the other: each death may be enough.
        while (over := self.held - self.budget - self.swap_size > 0).any():
            candidates = np.where(over[house] & (held > 0), held, 0.0)
            if killed:
                candidates[killed] = 0.0
            victim = int(np.argmax(candidates))
            killed.append(victim)
            self.oom_kills[house[victim]] += 1
            self.held[house[victim]] -= held[victim]
        swapped = np.maximum(self.held - self.budget, 0.0)
        stall = np.divide(swapped, self.held, out=np.zeros_like(swapped), where=swapped > 0)
        if elapsed > 0:
            self.swap_out = np.maximum(swapped - self.swapped, 0.0) / elapsed
            waited = np.minimum(self.swap_out / SWAP_RATE + stall, 1.0)
            weight = np.exp(-elapsed / _PRESSURE_MEMORY)
            self.pressure = waited + (self.pressure - waited) * weight
        self.swapped = swapped
        return Settled(stall[house], self._remote(held, house), np.array(killed, dtype=np.int64))

    @property
    def resident_share(self) -> FloatArray:
        """Return which part of what guests hold is in memory."""
        held = np.maximum(self.held, 1.0)
        return (held - self.swapped) / held

    def seen(self) -> Hosts:
        """Return the hosts as a manager sees them."""
        return Hosts(
            names=self.names,
            budget=self.budget,
            available=self.budget * (1.0 + MARGIN) - (self.held - self.swapped),
            reserved=np.zeros(len(self.names)),
            pressure=self.pressure,
            swap_out=self.swap_out,
        )

    def _sum(self, column: FloatArray, house: IntArray) -> FloatArray:
        return np.bincount(house, column, minlength=len(self.names)).astype(np.float64)

    def _remote(self, held: FloatArray, house: IntArray) -> FloatArray:
        if not self._nodes.any():
            return np.zeros(len(held))
        place = house * self._nodes.shape[1] + self._node
        wanted = np.bincount(place, held, minlength=self._nodes.size)
        size = self._nodes.ravel()
        away = np.where(size > 0, np.maximum(wanted - size, 0.0), 0.0)
        return np.asarray((away / np.maximum(wanted, 1.0))[place])
