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
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = len(waiting)

    def finish(_: "asyncio.Future[Any]") -> None:
        if not over.done():
            over.set_result(None)

    def one_done(future: "asyncio.Future[Any]") -> None:
        nonlocal left
        left -= 1
        if not left:
            finish(future)

    # No task of its own for each: there may be a thousand of them, many times a second.
    for future in waiting:
        future.add_done_callback(one_done)
    timer = asyncio.ensure_future(clock.sleep(limit))
    timer.add_done_callback(finish)
    try:
        await over
    finally:
        for future in waiting:
            future.remove_done_callback(one_done)
        timer.cancel()
        await asyncio.gather(timer, return_exceptions=True)
    return all(future.done() for future in waiting)
