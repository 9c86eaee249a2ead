"""What holds whatever guests are and want: nothing is lost, and nobody knows of the others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.model.columns import Column, whole
from aerostat.model.demand import Demand, Outcome
from aerostat.model.state import PLACES, State
from aerostat.model.statistics import statistics
from aerostat.model.step import deflate, inflate, step
from aerostat.units import GIB, KIB

GUESTS = 7
COUNTERS = (
    "swap_in", "swap_out", "major_faults", "minor_faults", "oom_kills", "alloc_stalls",
    "async_scans", "direct_scans", "async_reclaims", "direct_reclaims", "block_reads",
)  # fmt: skip

# Drawing each figure by itself would take most of the time; a seed tells as much.
seeds = st.integers(0, 2**32 - 1)


class World:
    """Guests of all sizes, and intervals in which anything may be wanted of them."""

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        self.guests = State.boot(
            4 * KIB + self._amounts(),
            swap_size=self._amounts(),
            deflate_on_oom=self._chance.random(GUESTS) < 0.5,
        )
        self.intervals = [
            (float(self._chance.choice([0.001, 0.1, 1.0, 10.0])), *self._wanted()) for _ in range(6)
        ]

    def _amounts(self) -> Column:
        """Return from nothing to 4 GiB, of any magnitude."""
        amounts = 4 * GIB * 10.0 ** self._chance.uniform(-5, 0, GUESTS)
        return amounts * (self._chance.random(GUESTS) < 0.8)

    def _wanted(self) -> tuple[Demand, Column, Column]:
        names = ("hold", "growth", "touched", "cold", "mapped", "read", "read_span", "written")
        skew = self._chance.choice([0.0, 0.5, 1.0, 3.0], GUESTS)
        demand = Demand.of(GUESTS, skew=skew, **{name: self._amounts() for name in names})
        return demand, whole(self._amounts()), whole(self._amounts())

    def live(self, state: State, number: int, rows: list[int] | None = None) -> Outcome:
        """Let an interval pass for all guests, or for those of some rows."""
        dt, demand, more, less = self.intervals[number]
        rows = list(range(GUESTS)) if rows is None else rows
        deflate(state, less[rows])
        inflate(state, more[rows])
        return step(state, demand.rows(rows), dt)


def assert_same(one: State | Outcome, other: State | Outcome) -> None:
    for name in one.names:
        same = np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
        assert same, name


@given(seeds)
def test_every_byte_is_somewhere_and_counters_never_fall(seed: int) -> None:
    world = World(seed)
    state = world.guests
    for number, (dt, *_) in enumerate(world.intervals):
        before = {name: getattr(state, name).copy() for name in COUNTERS}
        outcome = world.live(state, number)
        assert not state.lost().any()
        for place in (*PLACES, "swapped"):
            assert (getattr(state, place) >= 0).all(), place
            assert not (getattr(state, place) % PAGE_SIZE).any(), place
        assert (state.swapped <= state.swap_size).all()
        for name, column in before.items():
            assert (getattr(state, name) >= column).all(), name
        assert (state.async_reclaims <= state.async_scans).all()
        assert (state.direct_reclaims <= state.direct_scans).all()
        assert ((outcome.stalled >= 0) & (outcome.stalled <= dt)).all()
        assert ((outcome.lost >= 0) & (outcome.lost <= dt)).all()
        assert ((state.untouched >= 0) & (state.untouched <= state.free)).all()
        assert (state.held <= state.size - state.balloon).all()
        assert (outcome.short >= 0).all()


@settings(max_examples=settings().max_examples // 2)
@given(seeds)
def test_what_is_sent_to_the_host_can_be(seed: int) -> None:
    world = World(seed)
    state = world.guests
    for number in range(len(world.intervals)):
        world.live(state, number)
        table = statistics(state)
        assert table.shape == (GUESTS, 16)
        assert ((table >= 0) & (table < 2.0**64)).all()
        assert (state.free <= state.total_memory).all()
        assert (state.available_memory <= state.total_memory).all()


@settings(max_examples=settings().max_examples // 2)
@given(seeds, st.integers(0, GUESTS - 1))
def test_a_guest_alone_comes_to_the_same_as_among_others(seed: int, row: int) -> None:
    world = World(seed)
    state, alone = world.guests, world.guests.rows([row])
    for number in range(len(world.intervals)):
        outcome, outcome_alone = world.live(state, number), world.live(alone, number, [row])
        assert_same(alone, state.rows([row]))
        assert_same(outcome_alone, outcome.rows([row]))


@pytest.mark.parametrize("seed", range(5))
def test_the_same_happens_again(seed: int) -> None:
    one, other = World(seed), World(seed)
    for number in range(len(one.intervals)):
        assert_same(one.live(one.guests, number), other.live(other.guests, number))
    assert_same(one.guests, other.guests)
