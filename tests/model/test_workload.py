import json

from hypothesis import given
from hypothesis import strategies as st

from aerostat.model import workload
from aerostat.model.workload import Step, Workload
from aerostat.units import MIB


def test_steps_follow_each_other_and_begin_anew() -> None:
    plan = workload.steps(10 * MIB, 30 * MIB, every=5.0)
    holds = [plan.wanted(second).hold // MIB for second in (0, 4.9, 5, 9.9, 10, 15)]
    assert holds == [10, 10, 30, 30, 10, 30]


def test_a_burst_passes() -> None:
    plan = workload.burst(1 * MIB, 9 * MIB, at=3, length=2, period=10)
    holds = [plan.wanted(second).hold // MIB for second in (0, 3, 4.9, 5, 13)]
    assert holds == [1, 9, 9, 1, 9]


def test_a_leak_grows_until_its_limit() -> None:
    plan = workload.leak(4 * MIB, rate=2 * MIB, limit=6 * MIB)
    holds = [plan.wanted(second).hold // MIB for second in (0, 1, 2, 3, 1000)]
    assert holds == [4, 6, 8, 10, 10]


def test_a_workload_without_period_stays_at_its_last_step() -> None:
    assert workload.idle(MIB).wanted(1e9).hold == MIB


@given(
    st.lists(
        st.builds(
            Step,
            at=st.floats(0.001, 100),
            hold=st.integers(0, 2**40),
            leak_rate=st.floats(0, 1e9),
            leak_limit=st.integers(0, 2**40),
            read_rate=st.floats(0, 1e9),
            read_span=st.integers(0, 2**40),
            skew=st.floats(0, 8),
        ),
        max_size=5,
    ),
    st.floats(200, 1000) | st.just(float("inf")),
    st.floats(0, 10_000),
)
def test_a_plan_survives_json(steps: list[Step], period: float, moment: float) -> None:
    plan = Workload("any", (Step(0), *sorted(steps)), period)
    again = Workload.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again == plan
    assert again.wanted(moment) == plan.wanted(moment)
