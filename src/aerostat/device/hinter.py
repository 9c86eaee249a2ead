"""Rounds of free page hinting in time: every one of them ends, whoever asked for it.

A guest keeps what it hinted until it is told DONE (virtio 1.2, 5.5.6.5.1), so a round that a
client began and forgot would keep all of the guest's free memory from it. Touches the clock
through the loop it is given; standard library only.
"""

import time
from collections.abc import Callable

from aerostat.balloon.hinting import Hinting, Round
from aerostat.device.loop import Loop, Timer

# Those who wait for one round; bounds what control clients can pile up.
MAX_WAITING = 256


class Hinter:
    """Begins and ends rounds of the device behind `hinting`; `announce` tells its driver."""

    def __init__(
        self, loop: Loop, hinting: Callable[[], Hinting], announce: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._hinting = hinting
        self._announce = announce
        self._limit: Timer | None = None
        self._waiting: list[Callable[[], None]] = []

    def start(self, limit: float) -> None:
        """Begin a round, whatever has become of an earlier one; it is over in `limit` seconds."""
        self._answer()
        self._end_limit()
        self._hinting().start()
        self._limit = self._loop.call_later(limit, self.done)
        self._announce()

    def stop(self) -> None:
        """Want no more hints; what was hinted is kept until `done`, or the end of the limit."""
        if self._hinting().stop():
            self._announce()
        self._answer()

    def done(self) -> None:
        """Let the guest have its pages back."""
        self._end_limit()
        if self._hinting().done():
            self._announce()
        self._answer()

    def run(self, timeout: float, done: Callable[[], None]) -> bool:
        """Have a whole round, from its start to DONE, and call `done` when it is over.

        Takes `timeout` seconds at most; who comes while one runs shares it. Returns false, and
        never calls `done`, where too many wait already.
        """
        if len(self._waiting) >= MAX_WAITING:
            return False
        if not self._waiting:
            self.start(timeout)
        self._waiting.append(done)
        return True

    @property
    def left(self) -> float | None:
        """The seconds until the round is over by its limit; None if there is none."""
        if self._limit is None or not self._limit.pending:
            return None
        return max(0.0, self._limit.deadline - time.monotonic())

    def restore(self, left: float | None) -> None:
        """Go on with a round that another began: it is over in `left` seconds."""
        if left is not None:
            self._limit = self._loop.call_later(left, self.done)

    def heard(self) -> None:
        """Look at what the driver has told: a whole round that somebody waits for ends now."""
        if self._waiting and self._hinting().round is Round.ENDED:
            self.done()

    def forget(self) -> None:
        """Forget the round, as the driver is gone."""
        self._end_limit()
        self._answer()

    def _end_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _answer(self) -> None:
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done()
