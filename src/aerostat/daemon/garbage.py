"""Garbage collection in the rests between ticks.

Python looks through all its objects whenever there are a quarter more than the last time. With a
thousand guests that stops everything for 50 ms, twice a second, mostly for nothing: what a tick
leaves behind is freed by counting. So here the old objects are looked through after a tick, and
seldom; what was there from the start, never. Touches the interpreter's collector.
"""

import gc
import time
from collections.abc import Sequence
from typing import Self

from aerostat.daemon.snapshot import MoveRow, Snapshot

_EVERY = 30.0
# New objects before the young, and then the middle-aged, are looked through; the old ones are ours.
_YOUNG, _MIDDLE, _NEVER = 5_000, 10, 1_000_000


class Garbage:
    """From its beginning to its end the collector is used sparingly; `saw` is for each tick."""

    def __init__(self) -> None:
        self._collected = time.monotonic()
        self._before = gc.get_threshold()

    def __enter__(self) -> Self:
        gc.collect()
        gc.freeze()
        gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)
        return self

    def __exit__(self, *_: object) -> None:
        gc.set_threshold(*self._before)
        gc.unfreeze()

    def saw(self, _: Snapshot, __: Sequence[MoveRow]) -> None:
        """Collect now and then: a tick has just ended, and the next one is due after a rest."""
        if time.monotonic() - self._collected >= _EVERY:
            gc.collect()
            self._collected = time.monotonic()
