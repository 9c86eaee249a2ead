"""Where policies are compared: a family's guests on hosts of one size, a host for each seed.

Adapter; NumPy, no I/O. Guest number *i* of a family and a seed is always the same guest, so a host
with one guest more differs in that guest alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np

from aerostat.engine.policies.base import Policy
from aerostat.errors import UsageError
from aerostat.simulator.report.rows import Part, Row
from aerostat.simulator.results import Result, quantile
from aerostat.simulator.run import simulate
from aerostat.simulator.workloads import FAMILIES, Family
from aerostat.simulator.world import GuestSpec, House
from aerostat.units import GIB

TUNING = (1, 2, 3, 4)
"""The seeds that policies are tuned on, ..."""
JUDGED = (101, 102, 103, 104)
"""... and those that they are judged on."""

BUDGET = 16.0 * GIB
_SWAP_SHARE = 0.25  # of the budget: swap that a host has besides

_CHUNK = 8


@dataclass(frozen=True, slots=True)
class Setting:
    """A family's guests, and how they are simulated. Bytes and seconds."""

    family: str
    seeds: tuple[int, ...] = TUNING
    dialect: str | None = None
    """What all drivers tell that tell what is usual; None for that (`aerostat.model.dialects`)."""
    budget: float = BUDGET
    seconds: float = 1200.0
    warm_up: float = 120.0
    substep: float = 0.1
    period: float = 1.0
    delay: float = 0.05
    loss: float = 0.0
    families: Mapping[str, Family] = field(default_factory=lambda: FAMILIES, repr=False)
    """Where the family is looked up."""

    def __post_init__(self) -> None:
        """Check the family and the seeds. Raises `UsageError`."""
        if self.family not in self.families:
            names = ", ".join(self.families)
            raise UsageError(f"no family is called {self.family!r}; there is {names}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UsageError("a setting has one seed or more, all different")

    def house(self, seed: int, count: int) -> House:
        """Return the host of a seed with the first `count` of its guests."""
        family = self.families[self.family]
        chunks = range(-(-count // _CHUNK))
        guests = [guest for chunk in chunks for guest in _guests(family, seed, self.seconds, chunk)]
        return House(
            f"{self.family} {seed}, {count} guests",
            self.budget,
            tuple(guests[:count]),
            swap_size=self.budget * _SWAP_SHARE,
        )

    def full(self) -> float:
        """Return how many guests fit a host with all their memory, in the mean of the seeds."""
        return float(np.mean([self._fitting(seed) for seed in self.seeds]))

    def _fitting(self, seed: int) -> int:
        count = 0
        total = 0.0
        while total <= self.budget:
            count += _CHUNK
            sizes = [guest.max_size for guest in self.house(seed, count).guests]
            total = sum(sizes)
        return int(np.searchsorted(np.cumsum(sizes), self.budget, side="right"))

    def run(self, policy: Policy, counts: Sequence[int], **options: Any) -> Result:
        """Return how hosts with these counts of guests fare, each with all seeds, in that order.

        `options` are those of `aerostat.simulator.run.simulate` that a setting does not have.
        """
        return self.run_houses(self.houses(counts), policy, **options)

    def houses(self, counts: Sequence[int]) -> list[House]:
        """Return hosts with these counts of guests, each with all seeds, in that order."""
        return [self.house(seed, count) for count in counts for seed in self.seeds]

    def run_houses(self, houses: Sequence[House], policy: Policy, **options: Any) -> Result:
        """Return how these hosts fare, of this setting or of one with another family."""
        return simulate(
            houses,
            policy,
            seconds=self.seconds,
            warm_up=self.warm_up,
            substep=self.substep,
            dialect=self.dialect,
            period=self.period,
            delay=self.delay,
            loss=self.loss,
            **options,
        )

    def rows(self, result: Result, name: str, part: Part, among: slice = slice(None)) -> list[Row]:
        """Return a row for each count of guests that `run` simulated, over all seeds.

        `name` is what the policy is called in them; `among` says which of the hosts are this
        setting's.
        """
        houses = np.arange(len(result.houses.names))[among].reshape(-1, len(self.seeds))
        return [self._row(result, name, part, these.tolist()) for these in houses]

    def _row(self, result: Result, name: str, part: Part, houses: list[int]) -> Row:
        there = np.isin(result.guests.house, houses)
        guests = result.guests
        slowdown = guests.slowdown[there]

        def total(column: str) -> float:
            return float(getattr(guests, column)[there].sum())

        return Row(
            part=part,
            family=self.family,
            policy=name,
            dialect=self.dialect or "own",
            guests=int(result.houses.guests[houses[0]]),
            seeds=self.seeds,
            seconds=self.seconds,
            loss=self.loss,
            delay=self.delay,
            budget=self.budget,
            guest_hours=total("seconds") / 3600.0,
            p99_slowdown=quantile(slowdown, 0.99),
            mean_slowdown=float(slowdown.mean()),
            oom_kills=total("oom_kills"),
            host_oom_kills=float(result.houses.host_oom_kills[houses].sum()),
            major_faults=total("major_faults"),
            alloc_stalls=total("alloc_stalls"),
            block_reads=total("block_reads"),
            moves=total("moves"),
            mean_size=float(result.houses.mean_size[houses].mean()),
            mean_held=float(result.houses.mean_held[houses].mean()),
        )


def run_together(
    asked: Sequence[tuple[Setting, Sequence[int]]], policy: Policy, name: str, part: Part
) -> list[list[Row]]:
    """Return the rows of settings that differ in their families only, for counts of guests each.

    Raises `UsageError` where they differ in more.
    """
    first = asked[0][0]
    if any(replace(where, family=first.family) != first for where, _ in asked):
        raise UsageError("settings that are run together differ in their families only")
    houses = [where.houses(counts) for where, counts in asked]
    result = first.run_houses([house for lot in houses for house in lot], policy)
    ends = list(accumulate(len(lot) for lot in houses))
    slices = [slice(end - len(lot), end) for end, lot in zip(ends, houses, strict=True)]
    return [
        where.rows(result, name, part, among)
        for (where, _), among in zip(asked, slices, strict=True)
    ]


@lru_cache(maxsize=4096)
def _guests(family: Family, seed: int, seconds: float, chunk: int) -> tuple[GuestSpec, ...]:
    """Return some of a seed's guests: making them takes longer than simulating them for a while."""
    return family.guests(seed, _CHUNK, seconds, first=chunk * _CHUNK)


def grid(low: float, high: float, ratio: float) -> Iterable[int]:
    """Return counts from `low` to `high`, each about `ratio` times the one before."""
    steps = int(np.ceil(np.log(high / low) / np.log(ratio)))
    return sorted({max(round(low * ratio**step), 1) for step in range(steps + 1)})
