"""The rest between two ticks, and what ends it early: a stop, an order, pressure of the host."""

import asyncio

from aerostat.daemon.clock import Clock, wait_for_all

# Whoever wakes the manager again and again makes it tick at most this many times an interval.
_MOST_TICKS = 4


class Waking:
    """`stopping` is set once the manager is to end."""

    def __init__(self, clock: Clock) -> None:
        self.stopping = asyncio.Event()
        self._woken = asyncio.Event()
        self._clock = clock

    def stop(self) -> None:
        """Have the manager end."""
        self.stopping.set()
        self._woken.set()

    def wake(self) -> None:
        """Have the next tick begin now, or as soon as there may be one again."""
        self._woken.set()

    async def rest(self, began: float, interval: float) -> None:
        """Rest until `interval` seconds after `began`, or until somebody wakes us."""
        await self.sleep_until(began + interval)
        if self._woken.is_set() and not self.stopping.is_set():
            early = began + interval / _MOST_TICKS - self._clock.monotonic()
            stopped = asyncio.ensure_future(self.stopping.wait())
            await wait_for_all(self._clock, [stopped], max(early, 0.0))
            stopped.cancel()
        if not self.stopping.is_set():
            self._woken.clear()

    async def sleep_until(self, moment: float) -> bool:
        """Rest until `moment`, monotonic seconds; tell whether somebody woke us before."""
        # Counted from the tick's beginning: one that took too long is not made up for by a burst.
        woken = asyncio.ensure_future(self._woken.wait())
        await wait_for_all(self._clock, [woken], max(moment - self._clock.monotonic(), 0.0))
        woken.cancel()
        return self._woken.is_set()
