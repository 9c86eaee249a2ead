"""A clock that stands still until a test moves it (asyncio). Touches nothing."""

import asyncio
import heapq
import itertools
import math

# Turns of the event loop that what has been woken gets before time moves on. A task that awaits
# through more layers than this is still running when the clock moves; none of ours comes near.
_TURNS = 50


class VirtualClock:
    """Seconds that pass only in `advance`; fits `aerostat.daemon.clock.Clock`.

    `start` is the first monotonic second. The wall clock begins at `wall` seconds after the epoch
    and may be set apart by `jump_wall`.
    """

    def __init__(self, start: float = 1000.0, *, wall: float = 1.8e9) -> None:
        self._now = start
        self._wall_offset = wall - start
        self._suspended = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return self._now

    def wall(self) -> float:
        """Return seconds since the epoch, as this clock has them."""
        return self._now + self._wall_offset

    def jump_wall(self, seconds: float) -> None:
        """Move the wall clock alone, as an operator or NTP does."""
        self._wall_offset += seconds

    def suspended(self) -> float:
        """Return the seconds that the host was suspended."""
        return self._suspended

    def suspend(self, seconds: float) -> None:
        """Suspend the host: only the wall clock, and who asks for it, sees that time pass."""
        self._suspended += seconds
        self._wall_offset += seconds

    @property
    def sleepers(self) -> int:
        """How many wait for time to pass."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` have been advanced; let others run meanwhile in any case."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass; every sleeper wakes at its own moment, in order.

        What a sleeper does on waking, going to sleep again included, happens at that moment.
        """
        end = self._now + seconds
        await self.settle()
        while self._next_deadline() <= end:
            self._now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():  # or cancelled meanwhile
                woken.set_result(None)
                await self.settle()
        self._now = end

    async def settle(self) -> None:
        """Let everything run that needs no time to pass."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def _next_deadline(self) -> float:
        return self._sleepers[0][0] if self._sleepers else math.inf
