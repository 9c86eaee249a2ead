"""Plans: straight lines between moments, the same for one look and for the loop that lives them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.errors import UsageError
from aerostat.model.living import want
from aerostat.model.pace import PACE
from aerostat.model.plans import WANTS, Moment, Plan, Plans
from aerostat.model.rows import GROWTH, HOLD, ROWS, STATE_ROWS, WRITTEN
from aerostat.units import GIB, MIB

amounts = st.floats(0, 4 * GIB)
skews = st.floats(0, 8)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    times = sorted(draw(st.lists(st.floats(0, 100), min_size=1, max_size=5)))
    moments = [
        Moment(at, draw(amounts), draw(amounts), read_span=draw(amounts), skew=draw(skews))
        for at in times
    ]
    return Plan(moments, grow_rate=draw(amounts))


many = st.lists(plans(), min_size=1, max_size=4)
seconds = st.floats(0, 120)


def mib(plan: Plan, now: float) -> float:
    return float(Plans.of([plan]).demand(now, 0.1).hold[0]) / MIB


def test_between_moments_there_is_a_straight_line() -> None:
    plan = Plan([Moment(10, hold=100 * MIB), Moment(20, hold=200 * MIB)])
    assert [mib(plan, now) for now in (0, 10, 12.5, 20, 1000)] == [100, 100, 125, 200, 200]


def test_two_moments_at_once_are_a_jump() -> None:
    plan = Plan([Moment(0), Moment(5), Moment(5, hold=8 * MIB), Moment(9, hold=8 * MIB)])
    assert [mib(plan, now) for now in (4.99, 5, 7)] == [0, 8, 8]


def test_rates_become_what_is_done_in_an_interval() -> None:
    moment = Moment(0, 100 * MIB, cold=60 * MIB, read_rate=10 * MIB, write_rate=40 * MIB)
    demand = Plans.of([Plan([moment], grow_rate=200 * MIB)]).demand(3, 0.5)
    amounts = (demand.growth, demand.touched, demand.cold, demand.read, demand.written)
    assert [float(column[0]) / MIB for column in amounts] == [100, 10, 60, 5, 20]


def test_who_is_not_there_wants_nothing() -> None:
    plan = Plan([Moment(0, hold=MIB)], arrives=5, departs=9)
    assert [mib(plan, now) for now in (4.9, 5, 8.9, 9)] == [0, 1, 1, 0]
    peak = Plans.of([plan]).peak(0, 4)
    assert peak.hold[0] == peak.together[0] == 0
    assert Plans.of([plan]).peak(0, 5).hold[0] == MIB


@settings(max_examples=settings().max_examples // 3)
@given(many, seconds)
def test_one_look_and_the_loop_want_the_same_to_the_last_bit(some: list[Plan], now: float) -> None:
    together = Plans.of(some)
    demand = together.demand(now, 0.1)
    for row in range(len(some)):
        guest = [0.0] * ROWS
        moment = int(together._last_before(now)[row])
        after = min(moment + 1, int(together.first[row] + together.count[row]) - 1)
        want(guest, together.arrays(), moment, after, now, 0.1, PACE)
        guest[GROWTH] = float(demand.growth[row])
        # Rates are whole pages in the one and not in the other, which keeps what is left.
        asked = np.floor(np.array(guest[HOLD : WRITTEN + 1]) / 4096)
        asked[7] = guest[STATE_ROWS + 7]
        expected = demand.table[:, row] / 4096
        expected[7] = demand.skew[row]
        assert np.array_equal(np.floor(asked), np.floor(expected))


@settings(max_examples=settings().max_examples // 3)
@given(many, seconds, st.floats(0, 60))
def test_a_peak_is_the_most_of_all_seconds(some: list[Plan], since: float, length: float) -> None:
    plan = Plans.of(some)
    peak = plan.peak(since, since + length)
    looks = [plan.wanted(now) for now in np.linspace(since, since + length, 23)]
    for name, column in (("hold", peak.hold), ("read_span", peak.read_span)):
        most = np.max([look[:, WANTS.index(name)] for look in looks], axis=0)
        assert (column >= most * (1 - 1e-12)).all()
        assert (column <= plan.wants[:, WANTS.index(name)].max()).all()
    apart = peak.working + peak.mapped + peak.read_span
    assert (peak.together <= apart * (1 + 1e-12)).all()


@settings(max_examples=settings().max_examples // 3)
@given(many, seconds)
def test_some_of_them_want_what_they_want_among_all(some: list[Plan], now: float) -> None:
    backwards = list(range(len(some)))[::-1]
    alone = Plans.of(some).rows(backwards).demand(now, 0.1)
    assert np.array_equal(alone.table, Plans.of(some).demand(now, 0.1).table[:, backwards])


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        ([], "at least one moment"),
        ([Moment(5), Moment(4)], "order of their time"),
        ([Moment(0, hold=-1)], "nothing of it negative"),
        ([Moment(0, hold=float("nan"))], "finite"),
        ([Moment(0, skew=9)], "skew of at most 8"),
    ],
)
def test_what_is_no_plan_is_said(moments: list[Moment], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Plans.of([Plan([Moment(0)]), Plan(moments), Plan([Moment(0)])])
