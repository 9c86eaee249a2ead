"""A small world for the engine: hosts and guests as plain arithmetic, with faults on demand."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import STATISTICS, FloatArray, Guests, Hosts
from aerostat.engine.plan import Plan
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.step import step
from aerostat.engine.wishes import Wishes
from aerostat.units import MIB


@dataclass
class World:
    """Guests of one or more hosts; every column may be changed between steps."""

    max_size: FloatArray
    budget: FloatArray
    host: FloatArray | None = None
    now: float = 1000.0
    state: State = field(default_factory=State.empty)
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        count = len(self.max_size)
        self.max_size = np.asarray(self.max_size, dtype=np.float64)
        self.budget = np.asarray(self.budget, dtype=np.float64)
        self.host = np.zeros(count) if self.host is None else self.host
        self.keys = tuple(f"guest-{row}" for row in range(count))
        self.size = self.max_size.copy()
        self.use = 0.25 * self.max_size
        self.cache = np.zeros(count)
        self.overhead = np.zeros(count)
        self.guarantee = np.floor(0.2 * self.max_size / 4096) * 4096
        self.ceiling = self.max_size.copy()
        self.shares = np.full(count, 1000.0)
        self.pinned = np.full(count, np.nan)
        self.block_reads = np.full(count, np.nan)
        self.wishes = np.full(count, np.nan)
        self.available = np.full(len(self.budget), np.nan)
        self.reserved = np.zeros(len(self.budget))
        self.host_pressure = np.full(len(self.budget), np.nan)
        self.host_swap_out = np.full(len(self.budget), np.nan)
        self.managed = np.ones(count, dtype=bool)
        self.silent = np.zeros(count, dtype=bool)
        self.stuck = np.zeros(count, dtype=bool)
        self.pace = np.full(count, np.inf)
        self.target = np.full(count, np.nan)
        self.locked = np.zeros(count, dtype=bool)
        self.stalls = np.zeros(count)
        self.extra: dict[Tag, FloatArray] = {}
        self.lies: dict[int, FloatArray] = {}
        self.sampled = np.full(count, np.nan)
        self.statistics = np.full((count, STATISTICS), np.nan)
        self.counted = np.zeros(count)

    @property
    def held(self) -> FloatArray:
        held = np.minimum(self.use + self.cache, self.size)
        return np.where(self.locked, self.max_size, held) + self.overhead

    def observe(self) -> tuple[Hosts, Guests]:
        told = ~self.silent
        idle = np.maximum(self.size - self.use, 0.0)
        self.counted += self.stalls
        self.statistics[told] = np.nan
        self.statistics[told, Tag.AVAILABLE_MEMORY] = idle[told]
        self.statistics[told, Tag.FREE_MEMORY] = np.maximum(idle - self.cache, 0.0)[told]
        self.statistics[told, Tag.ALLOC_STALLS] = self.counted[told]
        for tag, column in self.extra.items():
            self.statistics[told, tag] = column[told]
        self.sampled[told] = self.now - 0.01
        for row, lie in self.lies.items():
            self.statistics[row] = lie
        assert self.host is not None
        guests = Guests.of(
            self.keys,
            host=self.host.astype(np.int64),
            max_size=self.max_size.copy(),
            guest_size=self.size.copy(),
            held=self.held,
            statistics=self.statistics.copy(),
            sample_time=self.sampled.copy(),
            guarantee=self.guarantee.copy(),
            ceiling=self.ceiling.copy(),
            shares=self.shares.copy(),
            managed=self.managed.copy(),
            pinned=self.pinned.copy(),
            block_reads=self.block_reads.copy(),
        )
        names = tuple(f"host-{row}" for row in range(len(self.budget)))
        hosts = Hosts.of(
            names,
            budget=self.budget.copy(),
            available=self.available.copy(),
            reserved=self.reserved.copy(),
            pressure=self.host_pressure.copy(),
            swap_out=self.host_swap_out.copy(),
        )
        return hosts, guests

    def plan(self) -> Plan:
        """Take one step of the engine, without carrying it out."""
        hosts, guests = self.observe()
        wishes = Wishes(self.wishes.copy(), str)
        self.state, plan = step(self.state, self.now, hosts, guests, self.settings, wishes)
        return plan

    def obey(self, plan: Plan) -> None:
        self.target = np.where(np.isnan(plan.target_size), self.target, plan.target_size)
        way = np.clip(self.target - self.size, -self.pace, self.pace)
        able = ~self.stuck & ~np.isnan(way)
        self.size[able] += way[able]

    def run(self, seconds: int) -> Plan:
        """Step and obey once a second; return the last plan."""
        for _ in range(seconds):
            plan = self.plan()
            self.obey(plan)
            self.now += 1.0
        return plan


@pytest.fixture(scope="session")
def world() -> Callable[..., World]:
    """Return a maker of worlds: sizes and budget in MiB."""

    def make(sizes: list[float], budget: float, settings: Settings | None = None) -> World:
        return World(
            max_size=np.array(sizes) * MIB,
            budget=np.array([budget]) * MIB,
            settings=settings or Settings(),
        )

    return make
