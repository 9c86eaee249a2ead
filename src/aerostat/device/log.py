"""One-line messages on standard error, at a bounded rate.

Much of what a device has to say is caused by a guest or a front-end, and neither may fill a disk:
what is too much is counted and told in one line. Touches standard error and the clock; standard
library only (`logging` weighs as much as the device).
"""

import os
import select
import time

# Lines in one second. A start and its complaints fit; a storm does not.
LINES_PER_SECOND = 5

_STDERR = 2


class Log:
    """Writes lines that begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._second = 0
        self._lines = 0
        self._suppressed = 0

    def __call__(self, message: str) -> None:
        """Write one line, unless this second has had its share."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._lines = second, 0
        if self._lines >= LINES_PER_SECOND:
            self._suppressed += 1
            return
        if self._suppressed:
            left_out, self._suppressed = self._suppressed, 0
            self._write(f"{left_out} lines were left out")
        self._write(message)

    def _write(self, message: str) -> None:
        self._lines += 1
        line = f"{self._prefix}: {message}\n".encode(errors="replace")
        # A reader that has gone is no reason to die, and one that does not read none to wait.
        try:
            if select.select((), (_STDERR,), (), 0)[1]:
                os.write(_STDERR, line)
                return
        except OSError:
            pass
        self._suppressed += 1
