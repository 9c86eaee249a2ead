"""A moment by which something is to be done. Reads the monotonic clock."""

import time

from aerostat.errors import LinkError


class OutOfTime(LinkError):
    """A check took longer than it may; whoever is checked does not answer."""


class Deadline:
    """So many seconds from now on."""

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._end

    def left(self, most: float | None = None) -> float:
        """Return the seconds that are left, at most `most`. Raises `OutOfTime` if there are none.

        Whatever waits within a check takes its limit from here, so that nothing waits for ever.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise OutOfTime(f"not done within {self.seconds:g} s")
        return left if most is None else min(left, most)
