"""Runs what a report is made of: density searches, comparisons among equally many guests, records.

Adapter: the work is done by whatever executor it is given. A study falls into parts, a family with
a dialect each; in a part, each policy's density is searched first, and then all policies are run
among as many guests as the best rival holds. Parts know nothing of each other, so that several
machines can each do some of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from aerostat import __version__
from aerostat.daemon.policies import find
from aerostat.errors import UsageError
from aerostat.simulator import sweep
from aerostat.simulator.density import density
from aerostat.simulator.report import palette
from aerostat.simulator.report.rows import Part, Recorded, Row, Study
from aerostat.simulator.report.sums import best_rival
from aerostat.simulator.results import Result
from aerostat.simulator.scenarios import scenario
from aerostat.simulator.setting import Setting
from aerostat.simulator.tuning import tuned

Progress = Callable[[int, int, str], None]
"""Is told how much is done, of how much, and what was done last ("" where something begins)."""

_RECORDED = 4
"""Of so many policies a house is recorded: ours, then the best."""
_MOMENTS = 240
"""How many moments of it."""


class Shard(NamedTuple):
    """Which of how many parts of a study are done here, counted from 1."""

    number: int = 1
    of: int = 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be run."""

    scenario: str
    """As the command line has it: see `aerostat.simulator.scenarios`."""
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    dialects: tuple[str, ...]
    guests: int | None = None
    """In each house; None to search how many each policy holds."""
    seconds: float | None = None
    losses: tuple[float, ...] = (0.0,)
    delays: tuple[float, ...] = (0.05,)
    shard: Shard = field(default_factory=Shard)
    record: bool = False
    """Whether houses over time are kept, for pictures."""
    command: str = ""
    """The command line that asks for all this."""
    tuned: bool = False
    """Whether policies have the knobs that tuning has found for the dialect."""

    def parts(self) -> list["Where"]:
        """Return the parts that are done here, each with the best sampling that was asked for."""
        every = [
            Where(
                self.scenario,
                family.name,
                seeds=self.seeds,
                dialect=dialect,
                seconds=self.seconds,
                loss=self.losses[0],
                delay=self.delays[0],
                tuned=self.tuned,
            )
            for dialect in self.dialects
            for family in _scenario(self.scenario).families
        ]
        return list(sweep.shard(every, self.shard.number, self.shard.of))

    def samplings(self) -> Iterator[tuple[float, float]]:
        """Yield which losses and delays are compared: one of both varies, the other is least."""
        yield from ((loss, self.delays[0]) for loss in self.losses)
        yield from ((self.losses[0], delay) for delay in self.delays[1:])


@dataclass(frozen=True, slots=True)
class Where:
    """One part: what another process needs to know to make its setting."""

    scenario: str
    family: str
    seeds: tuple[int, ...]
    dialect: str
    seconds: float | None
    loss: float
    delay: float
    tuned: bool = False

    def has(self, row: Row) -> bool:
        """Say whether a row is of this part."""
        return (row.family, row.dialect) == (self.family, self.dialect)

    def setting(self) -> Setting:
        """Return the setting. Raises `UsageError`."""
        found = _scenario(self.scenario)
        return Setting(
            self.family,
            seeds=self.seeds,
            dialect=self.dialect,
            budget=found.budget,
            seconds=self.seconds or found.seconds,
            loss=self.loss,
            delay=self.delay,
            families={family.name: family for family in found.families},
        )


class Found(NamedTuple):
    """What one piece of work has found."""

    rows: tuple[Row, ...]
    recorded: Recorded | None = None


# The same families each time: what is remembered of their guests is of use then.
_scenario = lru_cache(maxsize=4)(scenario)


def run_as(where: Where, policy: str) -> str:
    """Return the policy with the knobs that it is run with."""
    return tuned(where.dialect).get(policy, policy) if where.tuned else policy


def search(where: Where, policy: str) -> Found:
    """Return the rows of a density search."""
    found = density(where.setting(), find(run_as(where, policy)), name=policy)
    return Found((*found.tried, *([found.best] if found.best else ())))


def compare(where: Where, policy: str, guests: int, part: Part) -> Found:
    """Return the row of a policy among so many guests."""
    setting = where.setting()
    result = setting.run(find(run_as(where, policy)), [guests])
    return Found(tuple(setting.rows(result, policy, part)))


def watch(where: Where, policy: str, guests: int) -> Found:
    """Return the house of the first seed over time."""
    first = replace(where, seeds=where.seeds[:1]).setting()
    every = max(first.seconds / _MOMENTS, 1.0)
    result = first.run(find(run_as(where, policy)), [guests], record=every)
    return Found((), recorded(first, policy, result))


def recorded(setting: Setting, policy: str, result: Result) -> Recorded:
    """Return a recorded run of one house as pictures need it."""
    series = result.series
    assert series is not None
    steps = np.diff(series.time)[:, None]
    slowdown = np.full(series.lost.shape, np.nan)
    # What was lost since the moment before; of the first moment nothing is known.
    slowdown[1:] = np.diff(series.lost, axis=0) / steps
    return Recorded(
        family=setting.family,
        policy=policy,
        seed=setting.seeds[0],
        budget=setting.budget,
        times=series.time,
        size=series.size,
        held=series.held,
        balloon=series.balloon,
        slowdown=np.where(np.isnan(series.size), np.nan, slowdown),
    )


def run(wanted: Wanted, executor: Executor, progress: Progress | None = None) -> Study:
    """Return all that was wanted. Raises `UsageError`, and `MissingError` without numba."""
    rows: list[Row] = []
    houses: list[Recorded] = []
    for found in _Work(wanted, executor, progress).all():
        rows += found.rows
        houses += [found.recorded] if found.recorded else []
    families = {family.name: family.words for family in _scenario(wanted.scenario).families}
    return Study(
        command=wanted.command,
        version=__version__,
        scenario=_scenario(wanted.scenario).name,
        rows=tuple(rows),
        houses=tuple(houses),
        notes=_notes(wanted),
        words=families,
    )


def _notes(wanted: Wanted) -> tuple[str, ...]:
    notes = []
    if wanted.shard.of > 1:
        notes.append(f"Part {wanted.shard.number} of {wanted.shard.of}; the others are elsewhere.")
    if wanted.tuned:
        for dialect in wanted.dialects:
            found = [spec for name, spec in tuned(dialect).items() if name in wanted.policies]
            notes.append(f"Tuned for {dialect}: {', '.join(found) or 'none of these'}.")
    return tuple(notes)


class _Work:
    """A study under way. Results come in the order of the parts, whoever was done first."""

    def __init__(self, wanted: Wanted, executor: Executor, progress: Progress | None) -> None:
        self._wanted = wanted
        self._executor = executor
        self._progress = progress or (lambda _done, _of, _what: None)
        self._done = 0
        self._total = 0

    def all(self) -> Iterator[Found]:
        """Do everything; give what is found."""
        wanted, parts = self._wanted, self._wanted.parts()
        if wanted.guests is not None:
            counts = [wanted.guests] * len(parts)
            found = self._compared(parts, counts, Part.GIVEN)
        else:
            searched = self._searched(parts)
            yield from (each for part in searched for each in part)
            rows = [[row for each in part for row in each.rows] for part in searched]
            counts = [_crowd(each) for each in rows]
            found = self._compared(parts, counts, Part.EQUAL)
        yield from found
        if wanted.record:
            compared = [row for each in found for row in each.rows]
            yield from self._watched(parts, counts, compared)

    def _searched(self, parts: Sequence[Where]) -> list[list[Found]]:
        jobs = [(search, part, policy) for part in parts for policy in self._wanted.policies]
        # Those that compare and record come later; their number is known now.
        per_part = len(self._wanted.policies) * len(list(self._wanted.samplings()))
        found = self._map(jobs, later=len(parts) * (per_part + self._watches()))
        width = len(self._wanted.policies)
        return [found[first : first + width] for first in range(0, len(found), width)]

    def _compared(self, parts: Sequence[Where], counts: Sequence[int], part: Part) -> list[Found]:
        jobs = [
            (compare, replace(each, loss=loss, delay=delay), policy, count, part)
            for each, count in zip(parts, counts, strict=True)
            if count
            for loss, delay in self._wanted.samplings()
            for policy in self._wanted.policies
        ]
        return self._map(jobs, later=len(parts) * self._watches())

    def _watched(
        self, parts: Sequence[Where], counts: Sequence[int], rows: Sequence[Row]
    ) -> list[Found]:
        jobs = [
            (watch, part, policy, count)
            for part, count in zip(parts, counts, strict=True)
            if count and part.dialect == self._wanted.dialects[0]
            for policy in _shown([row for row in rows if part.has(row)])
        ]
        return self._map(jobs)

    def _watches(self) -> int:
        return min(len(self._wanted.policies), _RECORDED) if self._wanted.record else 0

    def _map(self, jobs: Sequence[tuple[Any, ...]], later: int = 0) -> list[Found]:
        """Do jobs, a function and its arguments each; return what they find, in their order."""
        self._total = self._done + len(jobs) + later
        self._progress(self._done, self._total, "")
        futures: list[Future[Found]] = [self._executor.submit(*job) for job in jobs]
        names = {
            future: f"{job[1].family}, {job[2]}" for future, job in zip(futures, jobs, strict=True)
        }

        def told(future: Future[Found]) -> None:
            self._done += 1
            self._progress(self._done, self._total, names[future])

        return sweep.in_order(futures, told)


def _crowd(rows: Sequence[Row]) -> int:
    """Return how many guests the best rival holds, or, where there is none, whoever is there."""
    best = best_rival(rows)
    if best is not None:
        return best.guests
    return max((row.guests for row in rows if row.part is Part.DENSITY), default=0)


def _shown(rows: Iterable[Row]) -> list[str]:
    """Return whose houses are shown: ours, then those with the least harm."""
    least: dict[str, float] = {}
    for row in rows:
        harm = row.mean_slowdown + row.kills
        least[row.policy] = min(harm, least.get(row.policy, harm))
    ours = [policy for policy in least if palette.family_name(policy) == palette.OURS]
    rivals = sorted(
        (policy for policy in least if policy not in ours and policy != palette.BOUND),
        key=lambda policy: (policy == palette.BASE, least[policy]),
    )
    return [*ours, *rivals][:_RECORDED]


def shard(text: str) -> Shard:
    """Return what ``2/8`` means. Raises `UsageError`."""
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise UsageError(f"not a part: {text!r}; write it as 2/8, the second of eight")
    return Shard(int(number), int(of))
