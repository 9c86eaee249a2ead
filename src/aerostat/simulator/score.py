"""Keeps count while a simulation runs, and makes scores of it in the end.

Adapter; NumPy, no I/O.
"""

import numpy as np

from aerostat.engine.observation import BoolArray, FloatArray, IntArray
from aerostat.model.state import State
from aerostat.simulator.hosts import Houses
from aerostat.simulator.results import GuestScores, HouseScores, quantile
from aerostat.simulator.world import World

_COUNTERS = ("major_faults", "alloc_stalls", "block_reads")


class Tally:
    """What the guests and houses of one block have come to, so far."""

    def __init__(self, world: World) -> None:
        count, houses = len(world), len(world.houses)
        self._world = world
        self.lost = np.zeros(count)
        """Seconds of work lost since the beginning."""
        self._lost_before = np.zeros(count)
        self._counted = {name: np.zeros(count) for name in _COUNTERS}
        self._oom_kills = np.zeros(count)
        self._host_oom_kills = np.zeros(count)
        self._warm_seconds = 0.0
        self._seconds = np.zeros(count)
        self._size = np.zeros(count)
        self._held = np.zeros(count)
        self._moves = np.zeros(count)
        self._turns = np.zeros(count)
        self._direction = np.zeros(count)
        self._house_size = np.zeros(houses)
        self._house_held = np.zeros(houses)
        self._house_peak = np.zeros(houses)
        self._house_over = np.zeros(houses)

    def warm(self, state: State) -> None:
        """Begin to count what counts after the warm-up only."""
        self._lost_before = self.lost.copy()
        self._counted = {name: -getattr(state, name) for name in _COUNTERS}
        self._moves[:] = 0.0
        self._turns[:] = 0.0

    def watch(self, seconds: float, hosts: Houses) -> None:
        """Count an interval for houses, warm or not."""
        np.maximum(self._house_peak, hosts.held, out=self._house_peak)
        self._house_over += (hosts.held > hosts.budget) * seconds

    def add(
        self,
        seconds: float,
        size: FloatArray,
        held: FloatArray,
        present: BoolArray,
        house: IntArray,
        hosts: Houses,
    ) -> None:
        """Count an interval after the warm-up; `size` and `held` are 0 of who is not there."""
        self._warm_seconds += seconds
        self._seconds += present * seconds
        self._size += size * seconds
        self._held += held * seconds
        sizes = np.bincount(house, size, minlength=len(hosts.budget))
        self._house_size += sizes * seconds
        self._house_held += hosts.held * seconds

    def move(self, change: FloatArray) -> None:
        """Count requests: `change` is by how much each guest is to grow, 0 for no request."""
        direction = np.sign(change)
        asked = direction != 0
        self._moves += asked
        self._turns += direction * self._direction < 0
        self._direction = np.where(asked, direction, self._direction)

    def bury(self, rows: IntArray, state: State, away: float) -> None:
        """Count guests that their host has killed, and that are away for so many seconds.

        What they have counted themselves is kept: their own counters begin anew.
        """
        self.lost[rows] += away
        self._seconds[rows] += away
        for name, counted in self._counted.items():
            counted[rows] += getattr(state, name)[rows]
        self._oom_kills[rows] += state.oom_kills[rows]
        self._host_oom_kills[rows] += 1

    def guests(self, state: State) -> GuestScores:
        """Return the scores of guests."""
        seconds = np.maximum(self._seconds, 1e-9)
        lost = self.lost - self._lost_before
        return GuestScores(
            house=self._world.house,
            max_size=state.size.copy(),
            seconds=self._seconds,
            lost=lost,
            slowdown=np.clip(lost / seconds, 0.0, 1.0),
            oom_kills=self._oom_kills + state.oom_kills,
            host_oom_kills=self._host_oom_kills,
            mean_size=self._size / seconds,
            mean_held=self._held / seconds,
            moves=self._moves,
            turns=self._turns,
            **{name: counted + getattr(state, name) for name, counted in self._counted.items()},
        )

    def houses(self, guests: GuestScores, hosts: Houses) -> HouseScores:
        """Return the scores of houses, of those of their guests."""
        count = len(hosts.names)
        seconds = max(self._warm_seconds, 1e-9)
        starts = np.searchsorted(guests.house, np.arange(count + 1))
        slowdowns = [guests.slowdown[starts[row] : starts[row + 1]] for row in range(count)]
        return HouseScores(
            names=hosts.names,
            budget=hosts.budget,
            guests=np.diff(starts).astype(np.float64),
            p99_slowdown=np.array([quantile(each, 0.99) for each in slowdowns]),
            mean_slowdown=np.array([each.mean() if len(each) else 0.0 for each in slowdowns]),
            oom_kills=np.bincount(guests.house, guests.oom_kills, count).astype(np.float64),
            host_oom_kills=hosts.oom_kills,
            mean_size=self._house_size / seconds,
            mean_held=self._house_held / seconds,
            peak_held=self._house_peak,
            over_budget_seconds=self._house_over,
        )
