"""What a guest keeps of files: told from use where it does not say, kept for what it is worth."""

from collections.abc import Callable
from typing import Any

import numpy as np

from aerostat.balloon.statistics import Tag
from aerostat.units import MIB

Make = Callable[..., Any]


class Six:
    """A guest whose driver sends six tags: programs take and give back, files fill the rest."""

    def __init__(self, host: Any, row: int, use: float) -> None:
        self.host, self.row, self.use, self.cache, self.faults = host, row, use * MIB, 0.0, 0.0
        host.block_reads[row] = 0.0
        self.said = np.full(16, np.nan)
        self.said[[Tag.SWAP_IN, Tag.SWAP_OUT, Tag.MAJOR_FAULTS]] = 0.0
        host.lies[row] = self.said
        self.live()

    def live(self, *, take: float = 0.0, read: float = 0.0) -> Any:
        """Let programs take or give back so many MiB, and read files; step once."""
        self.use += take * MIB
        self.faults += max(take, 0.0) * MIB / 4096
        self.host.block_reads[self.row] += read * MIB
        room = self.host.size[self.row] - self.use
        self.cache = min(self.cache + read * MIB, room)
        self.said[Tag.MINOR_FAULTS] = self.faults
        self.said[Tag.FREE_MEMORY] = room - self.cache
        self.host.sampled[self.row] = self.host.now
        return self.host.run(1)


def test_with_six_tags_what_was_read_is_no_use(world: Make) -> None:
    host = world([1024], budget=2000)
    guest = Six(host, 0, use=200)
    for _ in range(30):
        plan = guest.live(read=20)

    assert guest.cache == 600 * MIB
    assert plan.demand[0] <= 210 * MIB


def test_with_six_tags_what_programs_take_and_give_back_is_followed(world: Make) -> None:
    host = world([1024], budget=2000)
    guest = Six(host, 0, use=200)
    for _ in range(5):
        plan = guest.live(take=40, read=10)
    grown = plan.demand[0]
    for _ in range(5):
        plan = guest.live(take=-40, read=10)

    assert abs(grown - 400 * MIB) < 10 * MIB
    assert abs(plan.demand[0] - 200 * MIB) < 10 * MIB


def test_with_six_tags_programs_that_push_out_files_are_seen_by_their_faults(world: Make) -> None:
    host = world([1024], budget=2000)
    guest = Six(host, 0, use=200)
    for _ in range(50):
        guest.live(read=20)
    assert guest.said[Tag.FREE_MEMORY] == 0.0
    for _ in range(5):
        guest.cache -= 40 * MIB
        plan = guest.live(take=40)

    assert plan.demand[0] >= 390 * MIB


def test_files_that_are_read_again_and_again_are_kept(world: Make) -> None:
    host = read_with(world, lambda idle: 20 * MIB if idle < 400 * MIB else 0.0, seconds=60)

    assert host.state.worth[0] > 300 * MIB
    assert host.plan().aim[0] > host.use[0] + 380 * MIB
    assert host.size[0] > host.use[0] + 370 * MIB, "what lies between is not worth a request"


def test_what_is_read_whatever_is_given_must_be_read(world: Make) -> None:
    host = read_with(world, lambda idle: 20 * MIB, seconds=240, budget=1100)

    assert host.state.read_floor[0] > 0.75 * 20 * MIB


def test_what_fell_when_memory_was_given_need_not_be_read(world: Make) -> None:
    def rate(idle: float) -> float:
        return max(20 * MIB - 18 * MIB * idle / (800 * MIB), 2 * MIB)

    host = read_with(world, rate, seconds=240, budget=1100)

    assert host.size[0] > host.use[0] + 600 * MIB
    assert host.state.read_floor[0] < 5 * MIB


def test_of_two_caches_that_which_is_read_comes_first(world: Make) -> None:
    host = world([1024, 1024], budget=700)
    host.use[:] = 100 * MIB
    host.block_reads[:] = 0.0

    def live(seconds: int, *, reader: int) -> None:
        for _ in range(seconds):
            host.cache[:] = host.size - host.use
            host.block_reads[reader] += 20 * MIB if host.cache[reader] < 400 * MIB else 0.0
            host.run(1)

    live(60, reader=0)
    assert host.size[0] > 480 * MIB
    worth = host.state.worth[0]
    live(60, reader=1)
    assert host.size[1] > 460 * MIB
    assert host.state.worth[0] > 0.8 * worth, "what it was worth is not forgotten, it only waits"


def test_a_cache_that_is_too_small_is_soon_worth_all_that_it_has(world: Make) -> None:
    host = read_with(world, lambda idle: 2 * MIB if idle < 600 * MIB else 0.0, seconds=60)

    assert host.state.worth[0] > 300 * MIB, "all of it, though so little was not read since"


def test_where_more_is_read_more_is_given(world: Make) -> None:
    host = world([1024, 1024], budget=1000)
    host.use[:] = 100 * MIB
    host.block_reads[:] = 0.0
    span = 1200 * MIB
    for _ in range(120):
        host.cache[:] = host.size - host.use
        missed = np.maximum(1 - host.cache / span, 0.0) ** 2
        host.block_reads += np.array([60.0, 5.0]) * MIB * missed
        host.run(1)

    assert host.size[0] > 1.75 * host.size[1]


def read_with(world: Make, rate: Callable[[float], float], seconds: int, budget: int = 700) -> Any:
    """Let a guest read files at a rate that depends on what it has idle; return the host."""
    host = world([1024, 1024], budget=budget)
    host.use[:] = 100 * MIB
    host.block_reads[0] = 0.0
    for _ in range(seconds):
        idle = host.size[0] - host.use[0]
        host.cache[0] = idle  # as any cache, it fills what is free
        host.block_reads[0] += rate(idle)
        host.run(1)
    return host


def test_free_memory_is_filled_before_files_are_worth_any(world: Make) -> None:
    host = world([1024], budget=2000)
    host.block_reads[0] = 0.0
    for _ in range(20):
        host.block_reads[0] += 20 * MIB
        host.run(1)

    assert host.state.worth[0] == 0.0


def test_files_in_constant_use_show_in_faults_and_count_as_demand(world: Make) -> None:
    host = world([1024], budget=2000)
    host.cache[0] = 1024 * MIB
    faults = np.zeros(1)
    host.extra = {Tag.MAJOR_FAULTS: faults, Tag.SWAP_IN: np.zeros(1)}
    before = host.run(2).demand[0]
    for _ in range(5):
        faults += 500.0
        plan = host.run(1)

    found = plan.demand[0] - before
    assert np.isclose(found, 5 * 500 * 32 * 1024, rtol=0.05)
    # What is found out about files is no growth of what programs want.
    assert host.state.growth[0] < 100 * MIB


def test_where_nothing_is_read_back_less_is_in_constant_use(world: Make) -> None:
    host = world([1024], budget=500)
    host.cache[0] = 1024 * MIB
    faults = np.zeros(1)
    host.extra = {Tag.MAJOR_FAULTS: faults, Tag.SWAP_IN: np.zeros(1)}
    for _ in range(30):
        faults += 8000.0  # it thrashes, and reads the same files over and over
        host.run(1)
    thrashes = host.state.mapped[0]
    there_was = host.size[0] - host.use[0]
    host.run(3)

    assert thrashes <= there_was + 30 * 0.01 * 1024 * MIB
    assert host.state.mapped[0] <= 0.9 * (host.size[0] - host.use[0]) + MIB
