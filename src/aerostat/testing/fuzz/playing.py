"""Playing many cases of a target, unguided: seeded, counted, what is found made small.

Touches what its target touches, and the clock.
"""

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from aerostat.testing.fuzz.minimise import minimise
from aerostat.testing.fuzz.mutation import cases
from aerostat.testing.fuzz.oracle import Holdings, Oracle
from aerostat.testing.fuzz.target import Finding, Target
from aerostat.testing.fuzz.targets.turning import TURNS

# After so many cases it is looked at whether anything is left behind.
_BATCH = 250


class Played(NamedTuple):
    """What came of it; `seconds` by the clock. `findings` are one for each fault, made small.

    `longest` is for how long, in seconds, others would have waited at most; 0 where none would.
    """

    target: str
    cases: int
    seconds: float
    findings: tuple[Finding, ...]
    longest: float = 0.0
    coverage: int | None = None
    """By how many edges of our code more was seen than by the seeds; None where nobody counted."""


def play(
    target: Target,
    seed: int,
    *,
    count: int | None = None,
    seconds: float | None = None,
    known: Iterable[bytes] = (),
    clock: bool = True,
) -> Played:
    """Play the cases of a seed, which are made of those `known`, so many or for so long.

    `clock` as in `Oracle.watching`.
    """
    oracle = Oracle(target)
    found: dict[str, Finding] = {}
    began = time.monotonic()
    stream = islice(cases(target, seed, known), count)
    with oracle.watching(clock=clock):
        played = 0
        while batch := list(islice(stream, _BATCH)):
            played += len(batch)
            for finding in _judge(oracle, batch):
                if finding.identity not in found:
                    found[finding.identity] = small(oracle, finding)
            if seconds is not None and time.monotonic() - began > seconds:
                break
    seconds = time.monotonic() - began
    return Played(target.name, played, seconds, tuple(found.values()), TURNS.take())


def small(oracle: Oracle, finding: Finding) -> Finding:
    """Return the same fault in a case as small as can be found."""
    case = minimise(finding.case, oracle.shows(finding.identity))
    again = oracle.judge(case)
    return finding if again is None else again


def _judge(oracle: Oracle, batch: list[bytes]) -> Iterator[Finding]:
    holdings = Holdings.now()
    for case in batch:
        finding = oracle.judge(case)
        if finding is not None:
            yield finding
    leak = oracle.judge_holdings(batch, holdings)
    if leak is not None:
        yield leak
