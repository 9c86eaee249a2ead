"""Lines on standard error, at a bounded rate: what a device makes us say must not fill a disk.

Touches standard error and the clock. Standard library only, Python 3.9.
"""

from __future__ import annotations

import sys
import time

# Lines in one second.
_MOST = 10


class Log:
    """Writes lines that begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def __call__(self, message: str) -> None:
        """Write one line, unless this second has had its share."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > _MOST:
            self._left_out += 1
            return
        if self._left_out:
            message = f"({self._left_out} lines were left out) {message}"
            self._left_out = 0
        try:
            sys.stderr.write(f"{self._prefix}: {message}\n")
            sys.stderr.flush()
        except OSError:  # whoever was reading has gone; the balloon goes on
            self._left_out += 1
