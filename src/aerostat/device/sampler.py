"""Samples of a guest's statistics: on demand and on a timer, one round trip for all who ask.

Implements the device's part of virtio 1.2, 5.5.6.3 in time: ask by returning the buffer, wait for
the driver to post it again. Touches the clock through the loop it is given; standard library
only.
"""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from aerostat.device.loop import Loop, Timer

# Those who wait for one round trip; bounds what control clients can pile up.
MAX_WAITING = 256


class Sample(NamedTuple):
    """A guest's statistics by tag, and when they arrived."""

    statistics: Mapping[int, int]
    monotonic: float  # seconds, CLOCK_MONOTONIC
    wall_clock: float  # seconds since 1970


class _Waiting:
    __slots__ = ("done", "timer")

    def __init__(self, done: Callable[[bool], None]) -> None:
        self.done = done
        self.timer: Timer | None = None


class Sampler:
    """Asks a guest for statistics by `ask`, which returns false if it could not ask now."""

    def __init__(self, loop: Loop, ask: Callable[[], bool]) -> None:
        self.latest: Sample | None = None
        self._loop = loop
        self._ask = ask
        self._waiting: list[_Waiting] = []
        self._interval = 0
        self._tick: Timer | None = None

    @property
    def interval(self) -> int:
        """The seconds between samples; 0: only on demand."""
        return self._interval

    @interval.setter
    def interval(self, seconds: int) -> None:
        if seconds == self._interval:
            return  # as QEMU: only a change has an effect, and then at once
        self._interval = seconds
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        if seconds:
            self._poll()

    def restore(self, interval: int, latest: Sample | None) -> None:
        """Go on where another was: ask again after another `interval`."""
        self.latest = latest
        self._interval = interval
        if interval:
            self._tick = self._loop.call_later(interval, self._poll)

    def request(self, timeout: float, done: Callable[[bool], None]) -> bool:
        """Ask for a fresh sample; `done` is told whether `latest` is one, within `timeout` seconds.

        Returns false, and never calls `done`, where too many wait already.
        """
        if len(self._waiting) >= MAX_WAITING:
            return False
        waiting = _Waiting(done)
        waiting.timer = self._loop.call_later(timeout, lambda: self._give_up(waiting))
        self._waiting.append(waiting)
        # While a round trip is under way there is no buffer to ask with, and none is needed.
        self._ask()
        return True

    def arrived(self, statistics: Mapping[int, int]) -> None:
        """Take the figures that the driver has sent just now."""
        self.latest = Sample(statistics, time.monotonic(), time.time())
        answered, self._waiting = self._waiting, []
        for waiting in answered:
            assert waiting.timer is not None
            waiting.timer.cancel()
            waiting.done(True)

    def forget(self) -> None:
        """Forget what an earlier driver said, as a new one begins."""
        self.latest = None

    def _give_up(self, waiting: _Waiting) -> None:
        self._waiting.remove(waiting)
        waiting.done(False)

    def _poll(self) -> None:
        self._tick = self._loop.call_later(self._interval, self._poll)
        self._ask()
