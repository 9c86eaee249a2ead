"""The manager's clock, and waiting with a limit by it.

Only `monotonic` is used for decisions; `wall` goes into the journal and the views. Tests put
`aerostat.testing.mocks.clock.VirtualClock` in its place.
"""

import asyncio
import time
from collections.abc import Collection
from typing import Any, Protocol


class Clock(Protocol):
    """Seconds, and waiting for them to pass."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""

    def wall(self) -> float:
        """Return seconds since the epoch, as the host believes; they may jump."""

    def suspended(self) -> float:
        """Return the seconds that the host was suspended since its start."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""


class SystemClock:
    """The machine's own."""

    def monotonic(self) -> float:
        """Return CLOCK_MONOTONIC: the same for every process of the host, stops in suspend."""
        return time.monotonic()

    def wall(self) -> float:
        """Return CLOCK_REALTIME."""
        return time.time()

    def suspended(self) -> float:
        """Return by how much CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(seconds)


async def wait_for_all(
    clock: Clock, futures: Collection["asyncio.Future[Any]"], limit: float
) -> bool:
    """Wait until all `futures` are done, at most `limit` seconds; tell whether they are.

    Nothing is cancelled and nothing raised: what is not done goes on.
    """
    waiting = [future for future in futures if not future.done()]
    if not waiting:
        return True
    finish = asyncio.ensure_future(asyncio.wait(waiting))
    timer = asyncio.ensure_future(clock.sleep(limit))
    try:
        await asyncio.wait({finish, timer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        finish.cancel()
        timer.cancel()
        await asyncio.gather(finish, timer, return_exceptions=True)
    return all(future.done() for future in waiting)
