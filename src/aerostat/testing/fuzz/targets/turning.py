"""How long one guest's bad manners keep others waiting, who are served by the same thread.

Touches the thread's own clock, of the time that it works: how busy the machine is does not count.
"""

import time

from aerostat.device.loop import Loop


class Turns:
    """Measures what is done in a ``with`` block; `longest` is the most of all, in seconds."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.thread_time()

    def __exit__(self, *_: object) -> None:
        self.longest = max(self.longest, time.thread_time() - self._began)

    def take(self) -> float:
        """Return the longest, and forget it."""
        longest, self.longest = self.longest, 0.0
        return longest


#: Of all targets in which others would wait.
TURNS = Turns()


def turn(loop: Loop, times: int = 1) -> None:
    """Let a loop do what is due, and wait for nothing."""
    for _ in range(times):
        loop.call_soon(_nothing)
        with TURNS:
            loop.turn()


def _nothing() -> None:
    """Do nothing."""
