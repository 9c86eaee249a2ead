"""What every bench shares: fair comparison, clocks, goals, and the form of a result.

A bench is a file `bench/bench_*.py` with a generator ``run(*, quick)`` of `Figure`s, which ends in
``main(run)``: as a program it prints its figures as one JSON list, or what it misses. Other
people's machines are not like this one and are seldom idle, so what counts is the *ratio* of us to
a rival or a limit that was measured in the same run: both in turns, many times, compared pair by
pair.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, TypeVar

from aerostat.errors import MissingError

# clock_getcpuclockid(3): the clock of all threads of a process is the complement of its number,
# with these low bits (CPUCLOCK_SCHED in linux/posix-timers.h).
_CPU_CLOCK_OF_PROCESS = 2

Measure = Callable[[], float]

T = TypeVar("T")


class Goal(NamedTuple):
    """A bound for one figure of a comparison.

    `of` is ``ours``, ``ratio`` (ours to the rival's) or ``excess`` (ours less the rival's).
    """

    of: Literal["ours", "ratio", "excess"]
    sense: Literal["<=", ">="]
    bound: float

    def __str__(self) -> str:
        return f"{self.of} {self.sense} {self.bound:g}"

    def met(self, ours: float, rival: float, ratio: float) -> bool:
        """Return whether the figures keep to the bound."""
        value = {"ours": ours, "ratio": ratio, "excess": ours - rival}[self.of]
        return value <= self.bound if self.sense == "<=" else value >= self.bound


class Figure(NamedTuple):
    """One result, as it is written to ``build/bench.json``."""

    name: str
    unit: str
    ours: float
    rival: float
    rival_name: str
    ratio: float
    goal: str
    met: bool


class Bench(Protocol):
    """What a bench file has to offer; `quick` asks for a rough answer, soon."""

    def __call__(self, *, quick: bool) -> Iterator[Figure]:
        """Measure, and yield what was found. Raises `MissingError` where it cannot run at all."""


def in_turns(*measures: Callable[[], T], repeats: int) -> list[tuple[T, ...]]:
    """Measure each `repeats` times, in turns; return their results, a tuple for each turn.

    Whoever is first in one turn is last in the next, so that nobody always finds the machine as
    the same other has left it. One turn is made in advance and thrown away: it warms up.
    """
    turns = []
    for turn in range(repeats + 1):
        order = measures if turn % 2 else tuple(reversed(measures))
        results = [measure() for measure in order]
        turns.append(tuple(results if turn % 2 else reversed(results)))
    return turns[1:]


def judge(
    name: str, unit: str, rival_name: str, pairs: Sequence[tuple[float, ...]], *goals: Goal
) -> Figure:
    """Return the figure of (ours, rival) pairs: medians, and that of the ratios pair by pair."""
    ours = statistics.median(mine for mine, _ in pairs)
    rival = statistics.median(theirs for _, theirs in pairs)
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    return Figure(
        name=name,
        unit=unit,
        ours=ours,
        rival=rival,
        rival_name=rival_name,
        ratio=ratio,
        goal=" and ".join(map(str, goals)),
        met=all(goal.met(ours, rival, ratio) for goal in goals),
    )


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that process `pid` has used so far, all its threads together."""
    return time.clock_gettime((~pid << 3) | _CPU_CLOCK_OF_PROCESS)


def cpu_while(pid: int, action: Callable[[], object]) -> float:
    """Return the seconds of CPU that process `pid` uses while `action` runs here."""
    before = cpu_of(pid)
    action()
    return cpu_of(pid) - before


def own_cpu(action: Callable[[], object]) -> float:
    """Return the seconds of CPU that `action` takes in this process."""
    before = time.process_time()
    action()
    return time.process_time() - before


def main(bench: Bench) -> None:
    """Run `bench` as a program, and print what it finds."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough answer, soon")
    options = parser.parse_args()
    said: object
    try:
        said = [figure._asdict() for figure in bench(quick=options.quick)]
    except MissingError as error:
        said = {"skipped": str(error)}
    json.dump(said, sys.stdout, indent=2)
    print()
