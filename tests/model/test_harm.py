"""The measure of harm: what a guest lost for want of memory that its balloon has, and no more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.model.advance import advance
from aerostat.model.columns import Column
from aerostat.model.demand import Outcome
from aerostat.model.harm import miss_share
from aerostat.model.plans import Moment, Plan, Plans
from aerostat.model.state import State
from aerostat.units import GIB, MIB


def live(
    state: State, seconds: int, target_size: float = np.nan, stall: float = 0.0, **wants: float
) -> Outcome:
    plans = Plans.of([Plan([Moment(0, **wants)])])
    return advance(state, plans, target_size, stall, 0.0, 0.1, seconds * 10, compile=False)


def lost(outcome: Outcome) -> float:
    return float(outcome.lost[0])


def mib(column: Column) -> float:
    return float(column[0]) / MIB


@pytest.mark.parametrize("swap", [0, GIB])
@pytest.mark.parametrize("hold", [100 * MIB, 460 * MIB, 900 * MIB])
def test_a_guest_with_all_of_its_memory_loses_nothing_by_definition(hold: int, swap: int) -> None:
    state = State.boot(512 * MIB, swap_size=swap)
    reading = {"read_rate": 20 * MIB, "read_span": 300 * MIB, "write_rate": MIB}
    outcome = live(state, 30, hold=hold, **reading)
    assert lost(outcome) == 0
    if hold == 900 * MIB:  # it did suffer, by its own doing
        assert float(outcome.stalled[0]) > 1
        assert bool(outcome.killed[0]) == (swap == 0)


def test_first_reads_are_no_harm_and_later_ones_are() -> None:
    state = State.boot(GIB)
    reading = {"hold": 50 * MIB, "read_rate": 50 * MIB, "read_span": 500 * MIB}
    outcome = live(state, 60, **reading)
    assert mib(outcome.read_missed) == pytest.approx(500, rel=0.05)
    assert mib(state.block_reads) >= 500
    assert lost(outcome) == 0
    live(state, 2, 400 * MIB, **reading)
    outcome = live(state, 10, **reading)
    # Most of the files are gone: what is read is read from the disk at 250 MiB/s.
    missed = mib(outcome.read_missed)
    assert missed > 200
    assert lost(outcome) == pytest.approx(missed / 250, rel=0.1)


def test_harm_goes_on_after_the_balloon_until_all_is_back() -> None:
    state = State.boot(GIB)
    reading = {"hold": 50 * MIB, "read_rate": 50 * MIB, "read_span": 500 * MIB}
    live(state, 60, **reading)
    live(state, 3, 400 * MIB, **reading)
    outcome = live(state, 40, GIB, **reading)
    assert mib(state.balloon) == 0
    # Each of the files that were pushed out is read once more.
    assert lost(outcome) == pytest.approx(mib(outcome.read_missed) / 250, rel=0.05)
    assert lost(outcome) > 0.5
    assert lost(live(state, 10, **reading)) < 0.02


@pytest.mark.parametrize(("cold", "least", "most"), [(250, 0.0, 0.1), (0, 2.0, 20.0)])
def test_what_nobody_looks_at_can_be_swapped_out_at_no_cost(
    cold: int, least: float, most: float
) -> None:
    state = State.boot(512 * MIB, swap_size=GIB)
    wants = {"hold": 300 * MIB, "cold": cold * MIB}
    live(state, 10, **wants)
    live(state, 5, 300 * MIB, **wants)
    outcome = live(state, 20, **wants)
    assert mib(state.swapped) > 50
    assert least <= lost(outcome) <= most


def test_cold_memory_that_is_wanted_again_has_its_price() -> None:
    state = State.boot(512 * MIB, swap_size=GIB)
    live(state, 10, hold=300 * MIB, cold=280 * MIB)
    live(state, 10, 200 * MIB, hold=300 * MIB, cold=280 * MIB)
    swapped = mib(state.swapped)
    outcome = live(state, 20, 512 * MIB, hold=300 * MIB)
    assert mib(outcome.swapped_in) == pytest.approx(swapped, abs=1)
    assert lost(outcome) == pytest.approx(swapped / 250, rel=0.05)


def test_who_is_killed_for_a_balloon_loses_until_it_is_where_it_was() -> None:
    state = State.boot(512 * MIB)
    live(state, 5, hold=50 * MIB)
    live(state, 5, 200 * MIB, hold=50 * MIB)
    plans = Plans.of([Plan([Moment(0, hold=300 * MIB)], grow_rate=100 * MIB)])
    outcome = advance(state, plans, np.nan, 0.0, 0.0, 0.1, 100, compile=False)
    assert float(outcome.killed[0]) >= 2
    assert lost(outcome) > 5
    # With its memory back, it takes three seconds to grow, on average half of it is missing.
    outcome = advance(state, plans, 512.0 * MIB, 0.0, 0.0, 0.1, 100, compile=False)
    assert 0.5 < lost(outcome) < 2.0
    assert mib(state.anonymous) == 300
    assert lost(advance(state, plans, np.nan, 0.0, 0.0, 0.1, 50, compile=False)) == 0


def test_what_the_host_swaps_out_is_waited_for() -> None:
    state = State.boot(512 * MIB)
    live(state, 5, hold=200 * MIB)
    # 100 MiB a second are looked at.
    assert lost(live(state, 10, stall=0.1, hold=200 * MIB)) == pytest.approx(
        10 * 10 / 250, rel=0.01
    )
    assert lost(live(state, 2, stall=1.0, hold=400 * MIB)) > 1.5


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_nobody_loses_more_than_the_time(stall: float) -> None:
    state = State.boot(512 * MIB)
    wants = {"hold": 250 * MIB, "read_rate": 900 * MIB, "read_span": 300 * MIB, "skew": 0.0}
    live(state, 10, **wants)
    assert lost(live(state, 5, 100 * MIB, stall, **wants)) <= 5


@given(st.floats(0, 1), st.floats(0, 8))
def test_more_cached_and_more_skewed_means_fewer_misses(cached: float, skew: float) -> None:
    share = miss_share(cached, 1.0, skew)
    assert 0 <= share <= 1
    assert miss_share(min(cached + 0.1, 1.0), 1.0, skew) <= share
    assert miss_share(cached, 1.0, skew + 0.5) <= share + 1e-12
    whole = round(skew)
    if cached < 1.0:
        assert miss_share(cached, 1.0, float(whole)) == pytest.approx((1 - cached) ** whole)


def test_popular_files_need_less_cache() -> None:
    missed = []
    for skew in (1.0, 3.0):
        state = State.boot(GIB)
        reading = {"hold": 50 * MIB, "read_rate": 50 * MIB, "read_span": 600 * MIB, "skew": skew}
        live(state, 90, **reading)
        live(state, 5, 500 * MIB, **reading)
        missed.append(mib(live(state, 10, **reading).read_missed))
    assert missed[1] < missed[0] / 2
