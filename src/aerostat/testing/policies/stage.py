"""Guests as plain arithmetic, with faults on demand, for checks of policies.

A stage is played step by step under a policy. What the policy was shown can be kept as a film, and
shown to it again: in another order, in part, or damaged. Pure.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import STATISTICS, BoolArray, FloatArray, Guests, Hosts
from aerostat.engine.policies.base import Decided, Policy
from aerostat.units import MIB

START = 1000.0
"""When every play begins, monotonic seconds."""

_SAMPLE_AGE = 0.05
_SCARCE = 0.02
"""A guest that has less than this part of its maximum available suffers."""
_STALLS = 50.0
"""Allocation stalls a second of a guest that suffers."""


class Broken(AssertionError):
    """A promise is broken; the message says how."""


class Shown(NamedTuple):
    """What a policy is shown at one step."""

    now: float
    hosts: Hosts
    guests: Guests


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of a policy: what it was shown, and what it decided."""

    shown: Shown
    decided: Decided
    asked: FloatArray
    """The size last asked of each guest before this step; its size where none was."""
    target: FloatArray
    """What is asked of it now; NaN for nothing."""
    suffered: BoolArray
    """Which guests wanted memory then that they had not."""

    @property
    def taken(self) -> FloatArray:
        """Return how far below what was asked before, or what there is, each is asked to go."""
        reference = np.minimum(self.asked, self.shown.guests.guest_size)
        return np.nan_to_num(np.maximum(reference - self.target, 0.0), nan=0.0)

    @property
    def permitted(self) -> FloatArray:
        """Return what each guest may use from now on: a shrink frees nothing yet."""
        target = np.where(np.isnan(self.target), self.asked, self.target)
        return np.maximum(self.shown.guests.guest_size, target)


class Stage:
    """Hosts with guests on them; every column may be changed between steps. Bytes, seconds.

    All of a guest's size is the balloon's to take, at once; `stuck` and `locked` are the guests
    whose balloons do not move, and free nothing.
    """

    def __init__(self, sizes: Sequence[Sequence[float]], budgets: Sequence[float]) -> None:
        """Put guests of `sizes` (MiB, a sequence a host) on hosts with `budgets` (MiB)."""
        self.host = np.repeat(np.arange(len(sizes)), [len(each) for each in sizes])
        self.max_size = np.array([size for each in sizes for size in each]) * float(MIB)
        self.budget = np.array(budgets) * float(MIB)
        count = len(self.max_size)
        self.now = START
        self.size = self.max_size.copy()
        self.use = 0.25 * self.max_size
        self.cache = np.zeros(count)
        self.guarantee = np.ceil(0.2 * self.max_size / PAGE_SIZE) * PAGE_SIZE
        self.ceiling = self.max_size.copy()
        self.silent = np.zeros(count, dtype=np.bool_)
        self.stuck = np.zeros(count, dtype=np.bool_)
        self.locked = np.zeros(count, dtype=np.bool_)
        self.lies: dict[int, FloatArray] = {}
        self.asked = np.full(count, np.nan)
        self._statistics = np.full((count, STATISTICS), np.nan)
        self._sample_time = np.full(count, np.nan)
        self._counted = np.zeros((count, STATISTICS))

    @property
    def suffers(self) -> BoolArray:
        """Tell which guests want memory that they have not."""
        return np.asarray(self.size - self.use < _SCARCE * self.max_size)

    @property
    def entitlement(self) -> FloatArray:
        """Return each guest's part of its host's budget, by the size of its maximum."""
        sums = np.bincount(self.host, self.max_size, minlength=len(self.budget))
        return np.asarray(self.max_size * np.minimum(self.budget / sums, 1.0)[self.host])

    @property
    def held(self) -> FloatArray:
        """Return what each guest holds on its host."""
        held = np.minimum(self.use + self.cache, self.size)
        return np.where(self.locked, self.max_size, held)

    def look(self) -> Shown:
        """Return what a policy is shown now."""
        self._sample()
        guests = Guests.of(
            tuple(f"guest-{row}" for row in range(len(self.size))),
            host=self.host.copy(),
            max_size=self.max_size.copy(),
            guest_size=self.size.copy(),
            held=self.held,
            statistics=self._statistics.copy(),
            sample_time=self._sample_time.copy(),
            guarantee=self.guarantee.copy(),
            ceiling=self.ceiling.copy(),
            shares=self.max_size / MIB,
        )
        held = np.bincount(self.host, self.held, minlength=len(self.budget))
        hosts = Hosts.of(
            tuple(f"host-{row}" for row in range(len(self.budget))),
            budget=self.budget.copy(),
            # The host's own part is a tenth of what its guests may have.
            available=np.maximum(1.1 * self.budget - held, 0.0),
            reserved=np.zeros(len(self.budget)),
            pressure=np.where(held > 1.05 * self.budget, 0.3, 0.0),
            swap_out=np.zeros(len(self.budget)),
        )
        return Shown(self.now, hosts, guests)

    def _sample(self) -> None:
        told = ~self.silent
        available = np.maximum(self.size - self.use, 0.0)
        self._counted[:, Tag.ALLOC_STALLS] += np.where(self.suffers, _STALLS, 0.0)
        self._counted[:, Tag.MAJOR_FAULTS] += np.where(self.suffers, 10 * _STALLS, 0.0)
        figures = self._counted.copy()
        figures[:, Tag.TOTAL_MEMORY] = self.size
        figures[:, Tag.AVAILABLE_MEMORY] = available
        figures[:, Tag.DISK_CACHES] = np.minimum(self.cache, available)
        figures[:, Tag.FREE_MEMORY] = available - figures[:, Tag.DISK_CACHES]
        for row, lie in self.lies.items():
            figures[row] = lie
        self._statistics[told] = figures[told]
        self._sample_time[told] = self.now - _SAMPLE_AGE

    def obey(self, target: FloatArray, seconds: float) -> None:
        """Let balloons go where they are asked to, and `seconds` pass."""
        self.asked = np.where(np.isnan(target), self.asked, target)
        moves = ~self.stuck & ~np.isnan(self.asked)
        self.size = np.where(moves, np.clip(self.asked, 0.0, self.max_size), self.size)
        self.now += seconds


class Player:
    """A policy on a stage, with what it remembers. Raises whatever the policy raises."""

    def __init__(self, policy: Policy, stage: Stage) -> None:
        self.policy = policy
        self.stage = stage
        self.film: list[Shown] = []
        self._memory = policy.start()

    def step(self) -> Step:
        """Let the policy decide once, and the guests obey."""
        stage, shown = self.stage, self.stage.look()
        suffers = stage.suffers
        self.film.append(copy.deepcopy(shown))
        self._memory, decided = self.policy.step(self._memory, *shown)
        target = sizes_of(decided, shown)
        asked = np.where(np.isnan(stage.asked), stage.size, stage.asked)
        step = Step(shown, decided, asked, target, suffers)
        stage.obey(target, self.policy.interval)
        return step

    def play(self, seconds: float) -> list[Step]:
        """Let the policy step for so long, and at least once."""
        steps = max(1, round(seconds / self.policy.interval))
        return [self.step() for _ in range(steps)]


def sizes_of(decided: Decided, shown: Shown) -> FloatArray:
    """Return what is asked of each guest. Raises `Broken` where that is not one size for each."""
    sizes = np.array(decided.target_size)
    if sizes.shape != (len(shown.guests),):
        raise Broken(f"sizes of shape {sizes.shape} for {len(shown.guests)} guests")
    if sizes.dtype != np.float64:
        raise Broken(f"sizes are of type {sizes.dtype}, not float64")
    return sizes


def watch(policy: Policy, film: Sequence[Shown]) -> list[FloatArray]:
    """Return what a policy decides that is shown a film, whatever it decides."""
    memory, targets = policy.start(), []
    for shown in film:
        memory, decided = policy.step(memory, *shown)
        targets.append(sizes_of(decided, shown))
    return targets


def some(shown: Shown, rows: Sequence[int]) -> Shown:
    """Return the same moment with these guests only, in this order."""
    chosen = np.array(rows, dtype=np.int64)
    guests = shown.guests
    columns: dict[str, Any] = {
        each.name: getattr(guests, each.name)[chosen]
        for each in fields(guests)
        if each.name != "keys"
    }
    keys = tuple(guests.keys[row] for row in rows)
    return shown._replace(guests=replace(guests, keys=keys, **columns))


def alone(shown: Shown, host: int) -> Shown:
    """Return the same moment as if there were only this host."""
    hosts = shown.hosts
    columns: dict[str, Any] = {
        each.name: getattr(hosts, each.name)[host : host + 1]
        for each in fields(hosts)
        if each.name != "names"
    }
    here = some(shown, np.flatnonzero(shown.guests.host == host).tolist())
    guests = replace(here.guests, host=np.zeros(len(here.guests), dtype=np.int64))
    return Shown(shown.now, replace(hosts, names=(hosts.names[host],), **columns), guests)


def damaged(shown: Shown, **columns: Any) -> Shown:
    """Return the same moment with other columns of the guests."""
    return shown._replace(guests=replace(shown.guests, **columns))
