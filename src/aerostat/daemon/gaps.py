"""Time that the manager was not there to see: the host was suspended, or the manager stopped. Pure.

Ages count it: what was sampled before a suspend is as old as the suspend was long, though the clock
that everything else goes by stood still.
"""

from aerostat.daemon.clock import Clock

# A suspend shorter than this is no news; the two clocks are read a moment apart.
_SHORTEST_SUSPEND = 1.0
# A tick that comes later than this many intervals, and this many seconds, was held up by something.
_LATE_INTERVALS = 5
_LATE_LEAST = 5.0


class Gaps:
    """Watches the clock from one tick to the next."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._suspended = clock.suspended()
        self._ticked: float | None = None

    def suspended(self) -> float:
        """Return for how many seconds the host was suspended since this was asked last."""
        before, self._suspended = self._suspended, self._clock.suspended()
        passed = self._suspended - before
        return passed if passed >= _SHORTEST_SUSPEND else 0.0

    def late(self, interval: float) -> float:
        """Return by how many seconds this tick is late, where that is worth a word; or 0."""
        before, self._ticked = self._ticked, self._clock.monotonic()
        if before is None:
            return 0.0
        passed = self._ticked - before
        return passed if passed > max(_LATE_INTERVALS * interval, _LATE_LEAST) else 0.0
