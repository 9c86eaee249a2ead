"""Single keys from a terminal, without waiting for a line. Touches standard input's settings."""

import os
import select
import sys
import termios
import tty
from contextlib import AbstractContextManager
from typing import Any, Self


class Keys(AbstractContextManager["Keys"]):
    """While entered, keys are read one by one and not echoed; Ctrl-C still interrupts.

    Where standard input is no terminal there are no keys, and only time passes.
    """

    def __init__(self) -> None:
        self._input = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        if self._input is not None:
            self._before = termios.tcgetattr(self._input)
            tty.setcbreak(self._input)
        return self

    def __exit__(self, *_: object) -> None:
        if self._input is not None and self._before is not None:
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)

    def wait(self, timeout: float) -> str:
        """Return the key that is pressed within `timeout` seconds; nothing where none is."""
        readers = [] if self._input is None else [self._input]
        ready, _, _ = select.select(readers, [], [], max(timeout, 0.0))
        if not ready or self._input is None:
            return ""
        pressed = os.read(self._input, 64)
        if not pressed:  # the terminal has gone
            self._input = None
        # Of a longer sequence (an arrow, a paste) the first byte is none of our keys, or enough.
        return pressed[:1].decode("ascii", "replace")
