"""What is promised for every case: accepted, or refused by an error of the peer's.

Never another exception, no hang, no descriptor or mapping left behind. Targets assert the rest by
themselves: that no byte is touched that is not the guest's, and what a right answer is. Touches
timers and signals, and reads /proc/self.
"""

import gc
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from aerostat.testing.fuzz.target import Finding, Target

#: Seconds of processor time, or three times as many by the clock, between two looks at whether it
#: is still the same case.
TICK = 1.0
#: After so many looks it counts as hung.
PATIENCE = 10

_MAPS = Path("/proc/self/maps")
_SOURCE = "/aerostat/"
_HARNESS = "/testing/fuzz/"


class Hang(BaseException):
    """A case has taken too long. No `Exception`, so that nobody's handler swallows it."""


class Holdings(NamedTuple):
    """How much of what a leak would show in a process has."""

    descriptors: int
    mappings: int

    @classmethod
    def now(cls) -> "Holdings":
        """Count. Of mappings those of guest memory: other ones come and go with the heap."""
        maps = _MAPS.read_bytes()
        return cls(len(os.listdir("/proc/self/fd")), maps.count(b"(deleted)"))  # noqa: PTH208 - of numbers

    def exceed(self, other: "Holdings") -> bool:
        """Return whether there is more of anything."""
        return self.descriptors > other.descriptors or self.mappings > other.mappings


class Oracle:
    """Judges cases of one target. Use `watching` around all of them."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.cases = 0
        self._ticks = 0
        self._ticked = -1
        self._unraisable: list[BaseException] = []

    @contextmanager
    def watching(self, *, clock: bool = True) -> Iterator[None]:
        """Watch for hangs, and for errors that nobody could catch.

        With `clock` also by the clock, for a case that waits instead of working: this takes the
        process's only alarm.
        """
        signals = {signal.SIGPROF: signal.ITIMER_PROF}
        if clock:
            signals[signal.SIGALRM] = signal.ITIMER_REAL
        handlers = {number: signal.signal(number, self._tick) for number in signals}
        for number, timer in signals.items():
            every = TICK if number == signal.SIGPROF else 3 * TICK
            signal.setitimer(timer, every, every)
        hook, sys.unraisablehook = sys.unraisablehook, self._note
        try:
            with warnings.catch_warnings():
                # A descriptor that nobody has closed, and no other warning, is a fault.
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", ResourceWarning)
                yield
        finally:
            sys.unraisablehook = hook
            for number, timer in signals.items():
                signal.setitimer(timer, 0)
                signal.signal(number, handlers[number])

    def judge(self, case: bytes) -> Finding | None:
        """Play a case; return what is wrong, None if nothing is."""
        self.cases += 1
        try:
            self.target.run(case)
        except self.target.allowed:
            pass
        except (Exception, Hang) as error:  # noqa: BLE001 - that is the question
            return _finding(self.target, case, error)
        if self._unraisable:
            first = self._unraisable[0]
            self._unraisable.clear()
            return _finding(self.target, case, first)
        return None

    def shows(self, identity: str) -> Callable[[bytes], bool]:
        """Return a function that tells whether a case shows this fault."""

        def same(case: bytes) -> bool:
            finding = self.judge(case)
            return finding is not None and finding.identity == identity

        return same

    def judge_holdings(self, cases: Sequence[bytes], before: Holdings) -> Finding | None:
        """Look for what `cases`, played since there was `before`, have left behind.

        They are played again: what is made once and kept is no leak. Then one by one.
        """
        if not self._left_behind(before):
            return None
        before = Holdings.now()
        for case in cases:
            self.judge(case)
        if not self._left_behind(before):
            return None
        for case in cases:
            before = Holdings.now()
            self.judge(case)
            if self._left_behind(before):
                leak = f"leak: {before} before, {Holdings.now()} after"
                return Finding(self.target.name, case, "leak", leak)
        return None

    @staticmethod
    def _left_behind(before: Holdings) -> bool:
        if not Holdings.now().exceed(before):
            return False
        gc.collect()
        return Holdings.now().exceed(before)

    def _tick(self, _number: int, _frame: FrameType | None) -> None:
        if self._ticked != self.cases:
            self._ticked, self._ticks = self.cases, 0
            return
        self._ticks += 1
        if self._ticks >= PATIENCE:
            self._ticks = 0
            raise Hang(f"{PATIENCE * TICK:g} seconds of work, or thrice that of waiting")

    def _note(self, unraisable: Any) -> None:
        self._unraisable.append(unraisable.exc_value)


def _finding(target: Target, case: bytes, error: BaseException) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _SOURCE in frame.filename]
    theirs = [frame for frame in ours if _HARNESS not in frame.filename]
    where = "nowhere"
    if ours:
        # A harness's own assertion is where it stands; what is raised below it, where it came from.
        last = ours[-1] if isinstance(error, AssertionError) or not theirs else theirs[-1]
        where = f"{Path(last.filename).name}:{last.name}"
        if last is ours[-1] and last not in theirs:
            where += f":{last.line}"
    trace = "".join(traceback.format_exception(error))
    return Finding(target.name, case, f"{type(error).__name__} in {where}", trace)
