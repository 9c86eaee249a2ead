"""What the clairvoyant may ask: how much memory guests will need, so that they lose nothing.

Adapter; NumPy, no I/O. It knows the plans of all guests and how their kernels are made, and nothing
of what other guests or the policy will do. Only a policy that asks for it is told
(`aerostat.simulator.run`).
"""

import numpy as np

from aerostat.engine.observation import FloatArray, IntArray
from aerostat.model.pace import PACE
from aerostat.model.plans import READ_RATE, SKEW, Peak, Plans
from aerostat.model.state import State


class Foresight:
    """The plans of a block's guests, by the keys under which a policy knows them."""

    def __init__(self, keys: tuple[str, ...], plans: Plans, booted: State) -> None:
        self._places = {key: row for row, key in enumerate(keys)}
        self._plans = plans
        self._fixed = booted.reserved + booted.kernel + booted.high_watermark
        self._swap_size = booted.swap_size
        self._keys: tuple[str, ...] = ()
        self._asked = (0.0, 0.0)
        self._answer = plans.peak(*self._asked)
        self._rows: IntArray = np.zeros(0, dtype=np.int64)

    def need(
        self, keys: tuple[str, ...], now: float, until: float, slack: float = 0.0
    ) -> FloatArray:
        """Return the sizes with which guests lose at most the share `slack` of their time.

        In bytes, one for each of `keys`, for all of the time from `now` to `until`, both included.
        With no slack that is room for the working set, the kernel, its watermarks, and every file
        that is read; cold memory only where there is no swap for it. With some, the least popular
        files may be missing: as many as the disk can read in that share of the time. With all of
        it, what keeps their programs alive: what does not fit into the swap.
        """
        peak = self._peak(now, until)
        if slack >= 1:
            alive = self._fixed + np.maximum(peak.hold - self._swap_size, 0.0)
            return np.asarray(alive[self._rows_of(keys)])
        no_swap = np.maximum(peak.hold - peak.working - self._swap_size, 0.0)
        need = self._fixed + peak.together + no_swap
        if slack > 0:
            need -= peak.read_span * self._missing(now, until, slack)
        return np.asarray(need[self._rows_of(keys)])

    def whole(self, keys: tuple[str, ...], now: float, until: float) -> FloatArray:
        """Return the sizes with which nothing that guests hold has to go to the swap; as `need`."""
        peak = self._peak(now, until)
        return np.asarray((self._fixed + peak.hold + peak.mapped)[self._rows_of(keys)])

    def _peak(self, now: float, until: float) -> Peak:
        # The same time is asked about with several slacks.
        if self._asked != (now, until):
            self._asked, self._answer = (now, until), self._plans.peak(now, until)
        return self._answer

    def _missing(self, now: float, until: float, slack: float) -> FloatArray:
        """Return the share of files that need not be cached, as far as both ends of a time tell."""
        ends = np.stack([self._plans.wanted(now), self._plans.wanted(until)])
        rate = np.maximum(ends[:, :, READ_RATE].max(axis=0), 1.0)
        misses = np.clip(slack * PACE.disk / rate, 0.0, 1.0)
        # With a share c cached, (1 - c)^skew of what is read is missed. Files that are read round
        # and round (0) are cached as a whole, or it is as if they were not.
        skew = ends[:, :, SKEW].min(axis=0)
        missing = misses ** (1.0 / np.maximum(skew, 0.05))
        return np.asarray(np.where(skew > 0, missing, misses >= 1.0))

    def _rows_of(self, keys: tuple[str, ...]) -> IntArray:
        # The same keys come again and again, as the very same tuple.
        if keys is not self._keys:
            self._rows = np.array([self._places[key] for key in keys], dtype=np.int64)
            self._keys = keys
        return self._rows
