"""When ticks begin: at regular times, and early when there is a reason.

Reasons are an order, pressure of the host, memory that came free for who waits. An early tick
changes nothing in when the regular ones come: guests are looked at evenly whatever goes on.
"""

import asyncio

from aerostat.daemon.clock import Clock, wait_for_all

# Whoever wakes the manager again and again makes it tick at most this many times an interval.
_MOST_TICKS = 4
# And with so many guests that a tick is long, this part of the time is left for the rest.
_REST_OF_TICK = 3.0
# A tick that begins this little before its time is the regular one: sums of floats.
_EARLY = 1e-3


class Waking:
    """`stopping` is set once the manager is to end.

    `cycle` counts the regular ticks. `due` is when the next one is: monotonic seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self.stopping = asyncio.Event()
        self.cycle = 0
        self.due = clock.monotonic()
        self._began = self.due
        self._woken = asyncio.Event()
        self._clock = clock

    def stop(self) -> None:
        """Have the manager end."""
        self.stopping.set()
        self._woken.set()

    def wake(self) -> None:
        """Have the next tick begin now, or as soon as there may be one again."""
        self._woken.set()

    def begin(self, interval: float) -> float:
        """Begin a tick; return when that is."""
        self._began = now = self._clock.monotonic()
        self._woken.clear()
        if now >= self.due - _EARLY:
            self.cycle += 1
            self.due += interval
            if self.due <= now:  # very late: that is not made up for by a burst
                self.due = now + interval
        # The interval may have become shorter.
        self.due = min(self.due, now + interval)
        return now

    async def rest(self, interval: float, took: float) -> None:
        """Rest until the next tick is due, or until somebody wakes us; the last one `took` long."""
        await self.sleep_until(self.due)
        if self._woken.is_set() and not self.stopping.is_set():
            earliest = self._began + max(interval / _MOST_TICKS, took * (1 + _REST_OF_TICK))
            # It would make the regular one late.
            until = earliest if earliest + took < self.due else self.due
            stopped = asyncio.ensure_future(self.stopping.wait())
            await wait_for_all(self._clock, [stopped], max(until - self._clock.monotonic(), 0.0))
            stopped.cancel()

    async def sleep_until(self, moment: float) -> bool:
        """Rest until `moment`, monotonic seconds; tell whether somebody woke us before."""
        woken = asyncio.ensure_future(self._woken.wait())
        await wait_for_all(self._clock, [woken], max(moment - self._clock.monotonic(), 0.0))
        woken.cancel()
        return self._woken.is_set()
