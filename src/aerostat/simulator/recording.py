"""Keeps series of a block while it runs. Adapter; NumPy, no I/O."""

from collections.abc import Mapping

import numpy as np

from aerostat.engine.observation import FloatArray
from aerostat.simulator.hosts import Houses
from aerostat.simulator.population import Population
from aerostat.simulator.results import Series


class Recorder:
    """Rows of series, one for each moment that is kept; none where `interval` is None."""

    def __init__(self, interval: float | None) -> None:
        self._interval = interval
        self._next = 0.0
        self._moments: list[Mapping[str, FloatArray]] = []

    def keep(
        self, now: float, guests: Population, held: FloatArray, lost: FloatArray, hosts: Houses
    ) -> None:
        """Keep this moment, if it is time."""
        if self._interval is None or now < self._next:
            return
        self._next = now + self._interval - 1e-9
        there = guests.present
        state = guests.state
        columns = {
            "time": np.array(now),
            "size": np.where(there, state.size - state.balloon, np.nan),
            "held": np.where(there, held, np.nan),
            "balloon": np.where(there, state.balloon, np.nan),
            "target": np.where(there, guests.target_size, np.nan),
            "lost": lost.copy(),
            "house_held": hosts.held.copy(),
            "house_swapped": hosts.swapped.copy(),
        }
        self._moments.append(columns)

    def series(self) -> Series | None:
        """Return all that was kept, if anything was to be."""
        if not self._moments:
            return None
        names = self._moments[0]
        return Series(**{name: np.stack([each[name] for each in self._moments]) for name in names})
