"""Judging the cases that a guided fuzzer brings, one by one, and keeping what is found.

Touches the store.
"""

from types import TracebackType
from typing import Self

from aerostat.testing.fuzz.keeping import Store
from aerostat.testing.fuzz.oracle import Holdings, Oracle
from aerostat.testing.fuzz.playing import small
from aerostat.testing.fuzz.target import Finding, Target

_BATCH = 250


class Judging:
    """The judge of a guided run, in a ``with`` block."""

    def __init__(self, target: Target, store: Store) -> None:
        self._store = store
        self._oracle = Oracle(target)
        self._watching = self._oracle.watching()
        self._known = {finding.identity for finding in store.findings(target.name)}
        self._batch: list[bytes] = []
        self._holdings = Holdings.now()

    def __enter__(self) -> Self:
        self._watching.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watching.__exit__(kind, error, traceback)

    def play(self, case: bytes) -> None:
        """Play one case."""
        self._note(self._oracle.judge(case))
        self._batch.append(case)
        if len(self._batch) >= _BATCH:
            self._note(self._oracle.judge_holdings(self._batch, self._holdings))
            self._batch.clear()
            self._holdings = Holdings.now()

    def _note(self, finding: Finding | None) -> None:
        if finding is not None and finding.identity not in self._known:
            self._known.add(finding.identity)
            self._store.keep(small(self._oracle, finding))
