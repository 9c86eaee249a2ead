"""What is counted from tick to tick: how long cycles took, and which moves were decided.

Pure, standard library only: it is there from the first tick on, whoever asks for metrics or not.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

from aerostat.daemon.snapshot import MoveRow, Snapshot

CYCLE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds, in seconds; cycles run from a millisecond to the longest interval in use."""


class Decision(NamedTuple):
    """What moves are counted by."""

    action: str
    """``grow`` or ``shrink``."""
    reason: str
    outcome: str
    """``accepted``, ``failed``, ``sent`` or ``observed``."""


class Tally:
    """Counts since the manager started. `watch` goes among its watchers."""

    def __init__(self) -> None:
        self.decisions: Counter[Decision] = Counter()
        self.cycles = [0] * (len(CYCLE_BUCKETS) + 1)
        """Cycles by bucket, the last for those above all bounds."""
        self.cycle_seconds = 0.0
        self._tick = 0

    def watch(self, snapshot: Snapshot, moves: Sequence[MoveRow]) -> None:
        """Count one tick."""
        if snapshot.tick != self._tick:
            self._tick = snapshot.tick
            self.cycles[bisect_left(CYCLE_BUCKETS, snapshot.tick_duration)] += 1
            self.cycle_seconds += snapshot.tick_duration
        for move in moves:
            action = "grow" if move.to_size > move.from_size else "shrink"
            # A failure's own words are for the journal: each would be a series of its own.
            outcome = move.outcome.partition(":")[0]
            self.decisions[Decision(action, move.reason, outcome)] += 1

    def copy(self) -> "Tally":
        """Return one that does not go on counting."""
        still = copy(self)
        still.decisions, still.cycles = self.decisions.copy(), self.cycles.copy()
        return still
