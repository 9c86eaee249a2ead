"""Time passes for many guests, whose balloons move: at their pace, and with no byte lost."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.model.advance import advance
from aerostat.model.columns import Column
from aerostat.model.demand import Outcome
from aerostat.model.plans import Moment, Plan, Plans
from aerostat.model.state import PLACES, State
from aerostat.units import GIB, KIB, MIB

DT = 0.1

seeds = st.integers(0, 2**32 - 1)


def holding(hold: float, **plan: float) -> Plans:
    return Plans.of([Plan([Moment(0, hold=hold)], **plan)])


def live(
    state: State, plans: Plans, seconds: float, target_size: float = np.nan, stall: float = 0.0
) -> Outcome:
    count = round(seconds / DT)
    return advance(state, plans, target_size, stall, 0.0, DT, count, compile=False)


def mib(column: Column) -> float:
    return float(column[0]) / MIB


class World:
    """Guests of all sizes, plans and targets of any kind."""

    def __init__(self, seed: int, count: int) -> None:
        self.chance = np.random.default_rng(seed)
        self.count = count
        sizes = 4 * KIB + self._amounts(count)
        self.state = State.boot(
            sizes,
            swap_size=self._amounts(count),
            deflate_on_oom=self.chance.random(count) < 0.5,
            reporting=self.chance.random(count) < 0.5,
        )
        self.plans = Plans.of([self._plan() for _ in range(count)])

    def _amounts(self, count: int) -> Column:
        amounts = 4 * GIB * 10.0 ** self.chance.uniform(-5, 0, count)
        return amounts * (self.chance.random(count) < 0.8)

    def _plan(self) -> Plan:
        times = np.sort(self.chance.uniform(0, 20, 4))
        skews = self.chance.choice([0.0, 0.7, 1.0, 3.0], 4)
        moments = []
        for at, skew in zip(times, skews, strict=True):
            hold, cold, mapped, read, span, write = self._amounts(6).tolist()
            moments.append(Moment(at, hold, cold, mapped, read, span, skew, write))
        arrives, departs = sorted(self.chance.choice([0.0, 5.0, 15.0, 30.0], 2).tolist())
        return Plan(moments, float(self._amounts(1)[0]), arrives, departs)

    def live(self, second: int, *, compile: bool = False) -> Outcome:  # noqa: A002 - as `advance`
        target = np.where(self.chance.random(self.count) < 0.5, self._amounts(self.count), np.nan)
        stall = self.chance.choice([0.0, 0.0, 0.1, 1.0], self.count)
        return advance(
            self.state, self.plans, target, stall, float(second), DT, 10, compile=compile
        )


@settings(max_examples=settings().max_examples // 4)
@given(seeds)
def test_no_byte_is_lost_whatever_happens(seed: int) -> None:
    world = World(seed, 3)
    for second in range(0, 20, 3):
        outcome = world.live(second)
        assert not world.state.lost().any()
        for place in (*PLACES, "untouched", "swapped"):
            assert (getattr(world.state, place) >= 0).all(), place
            assert not (getattr(world.state, place) % PAGE_SIZE).any(), place
        assert (world.state.untouched <= world.state.free).all()
        assert (world.state.swapped <= world.state.swap_size).all()
        assert ((outcome.lost >= 0) & (outcome.lost <= 10 * DT + 1e-9)).all()


def test_ten_intervals_are_ten_times_one() -> None:
    one, other = World(7, 5), World(7, 5)
    target = one.state.size / 2
    whole = advance(one.state, one.plans, target, 0.0, 0.0, DT, 10, compile=False)
    parts = [
        advance(other.state, other.plans, target, 0.0, n * DT, DT, 1, compile=False).table
        for n in range(10)
    ]
    assert np.array_equal(one.state.table, other.state.table, equal_nan=True)
    assert np.allclose(whole.table, np.sum(parts, axis=0))


def test_a_balloon_takes_free_memory_and_gives_it_back_at_its_pace() -> None:
    state, plans = State.boot(4 * GIB), holding(100 * MIB)
    live(state, plans, 0.5, target_size=GIB)
    assert 760 < mib(state.balloon) <= 768  # 1.5 GiB/s
    live(state, plans, 2.0)
    assert mib(state.balloon) == 3 * 1024
    assert mib(state.held) <= 1024
    live(state, plans, 0.5, target_size=4 * GIB)
    assert 1536 <= mib(state.balloon) < 1537  # 3 GiB/s
    # What it gave back, the host has no pages for.
    assert mib(state.held) < 400
    assert float(state.alloc_stalls[0]) == 0


def test_a_balloon_gets_what_has_to_be_reclaimed_bit_by_bit() -> None:
    state = State.boot(256 * MIB)
    plans = Plans.of([Plan([Moment(0, mapped=0, read_rate=100 * MIB, read_span=GIB, skew=0)])])
    live(state, plans, 5)
    assert mib(state.free) < 4
    stalls, scans = state.alloc_stalls.copy(), state.async_reclaims.copy()
    live(state, holding(0), 3, 112 * MIB)
    # Some 20 MiB/s, as in Linux; not what it takes of free memory.
    assert 40 < mib(state.balloon) < 100
    # Most of it is kswapd's work, and some the driver's.
    assert state.alloc_stalls > stalls
    assert mib(state.async_reclaims - scans) > 5 * mib(state.direct_reclaims) > 0
    live(state, holding(0), 9, 112 * MIB)
    assert mib(state.balloon) == 144


def test_a_balloon_that_finds_nothing_waits_and_tries_again() -> None:
    state, plans = State.boot(512 * MIB), holding(300 * MIB)
    live(state, plans, 5.0)
    live(state, plans, 5.0, target_size=200 * MIB)
    stuck = mib(state.balloon)
    assert 100 < stuck < 312
    assert float(state.oom_kills[0]) == 0
    stalls = float(state.alloc_stalls[0])
    live(state, holding(100 * MIB), 2.0)
    assert mib(state.balloon) > stuck + 100
    assert float(state.alloc_stalls[0]) >= stalls


def test_who_may_deflate_on_oom_does_and_takes_no_more_until_asked_anew() -> None:
    state = State.boot(512 * MIB, deflate_on_oom=True)
    live(state, holding(50 * MIB), 3.0, target_size=150 * MIB)
    assert mib(state.balloon) > 300
    outcome = live(state, holding(300 * MIB), 10.0, target_size=150 * MIB)
    assert mib(state.anonymous) == 300
    assert float(state.oom_kills[0]) == 0
    assert 0 < float(outcome.lost[0]) < 8
    live(state, holding(50 * MIB), 3.0, target_size=150 * MIB)
    assert mib(state.balloon) < 200
    live(state, holding(50 * MIB), 3.0, target_size=151 * MIB)
    assert mib(state.balloon) > 300


def test_who_is_not_there_does_nothing() -> None:
    state = State.boot(512 * MIB)
    before = state.table.copy()
    outcome = live(state, holding(100 * MIB, arrives=50.0), 2.0)
    assert not outcome.table.any()
    assert np.array_equal(state.table, before, equal_nan=True)


def test_free_memory_is_reported_after_a_while() -> None:
    held = []
    for reporting in (False, True):
        state = State.boot(GIB, reporting=reporting)
        live(state, holding(500 * MIB, grow_rate=GIB), 3.0)
        live(state, holding(50 * MIB), 1.0)
        soon = mib(state.held)
        live(state, holding(50 * MIB), 20.0)
        held.append((soon, mib(state.held)))
    (_, kept), (soon, left) = held
    assert kept > 500
    assert soon > 400
    assert left < 150


def test_memory_that_is_plugged_in_is_free_and_untouched() -> None:
    state = State.boot([GIB, GIB])
    held, low = state.held.copy(), state.low_watermark.copy()
    state.plug([1], GIB)
    assert (state.size == [GIB, 2 * GIB]).all()
    assert np.array_equal(state.held, held)
    assert not state.lost().any()
    assert state.low_watermark[1] > low[1] == state.low_watermark[0]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_compiled_it_comes_to_the_same_bits() -> None:
    for seed in range(20):
        plain, compiled = World(seed, 20), World(seed, 20)
        for second in range(20):
            slow = plain.live(second)
            fast = compiled.live(second, compile=True)
            assert np.array_equal(slow.table, fast.table)
            assert np.array_equal(plain.state.table, compiled.state.table, equal_nan=True)


def test_a_process_guest_needs_no_compiler() -> None:
    script = "import sys, aerostat.process_guest.kernel; print('numba' in sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "False"
