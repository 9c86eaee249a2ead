"""What every bench shares: fair comparison, clocks, goals, and the form of a result.

A bench is a file `bench/bench_*.py` with a generator ``run(*, quick)`` of `Figure`s, which ends in
``main(run)``: as a program it prints its figures as one JSON list. Other people's machines are not
like this one and are seldom idle, so what counts is the *ratio* of us to a rival or a limit that
was measured in the same run: both in turns, many times, compared pair by pair.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, Protocol

# clock_getcpuclockid(3): the clock of all threads of a process is the complement of its number,
# with these low bits (CPUCLOCK_SCHED in linux/posix-timers.h).
_CPU_CLOCK_OF_PROCESS = 2

Measure = Callable[[], float]


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
        """Measure, and yield what was found."""


def in_turns(ours: Measure, rival: Measure, repeats: int) -> list[tuple[float, float]]:
    """Measure both `repeats` times; return (ours, rival) of each pair.

    Whoever is first in one pair is second in the next, so that neither always finds the machine
    as the other has left it. One pair is measured in advance and thrown away: it warms up.
    """
    pairs = []
    for turn in range(repeats + 1):
        if turn % 2:
            mine = ours()
            pairs.append((mine, rival()))
        else:
            theirs = rival()
            pairs.append((ours(), theirs))
    return pairs[1:]


def judge(
    name: str, unit: str, rival_name: str, pairs: list[tuple[float, float]], *goals: Goal
) -> Figure:
    """Return the figure of `pairs`: medians, and the median of the ratios pair by pair."""
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
    figures = [figure._asdict() for figure in bench(quick=options.quick)]
    json.dump(figures, sys.stdout, indent=2)
    print()
