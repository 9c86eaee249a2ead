"""Curves: they add up, bend where their parts do, and jump within a tenth of a second."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.simulator.workloads.curves import (
    Curve,
    arrivals,
    bump,
    level,
    moments,
    path,
    total,
    wander,
)

times = st.floats(0, 1000)
bumps = st.builds(
    bump, times, st.floats(-100, 100), rise=st.floats(0, 9), stay=times, fall=st.floats(0, 9)
)


@given(st.lists(bumps, min_size=1, max_size=6))
def test_a_sum_is_the_sum_everywhere(parts: list[Curve]) -> None:
    grid = np.linspace(0, 2500, 997)

    summed = sum((part.over(grid) for part in parts), np.zeros(len(grid)))

    np.testing.assert_allclose(total(parts).over(grid), summed, atol=1e-6)


@given(st.lists(st.tuples(times, st.floats(0, 10)), min_size=1, max_size=20))
def test_points_of_a_path_are_never_at_the_same_time(points: list[tuple[float, float]]) -> None:
    assert (np.diff(path(points).at) > 0.05).all()


def test_a_bump_rises_stays_and_is_gone() -> None:
    curve = bump(10, 5, rise=2, stay=6, fall=1)

    np.testing.assert_allclose(curve.over(np.array([0, 10, 11, 12, 18, 18.5, 19, 99])),
                               [0, 0, 2.5, 5, 5, 2.5, 0, 0])  # fmt: skip


def test_what_is_cut_off_and_scaled_keeps_its_times() -> None:
    curve = (bump(10, 5) + level(1)) * 2

    assert curve.within(0, 7).value.max() == 7
    assert curve.value.max() == 12


def test_wandering_keeps_around_its_mean() -> None:
    curve = wander(np.random.default_rng(1), 100_000, mean=100, spread=10, every=10)

    assert curve.value.mean() == pytest.approx(100, abs=2)
    assert curve.value.std() == pytest.approx(10, rel=0.1)


def test_what_comes_at_any_time_comes_as_often_as_it_should() -> None:
    times = arrivals(np.random.default_rng(1), 100_000, gap=50)

    assert len(times) == pytest.approx(2000, rel=0.1)
    assert times == sorted(times)
    assert times[-1] < 100_000


def test_a_plan_has_a_moment_wherever_a_column_bends() -> None:
    plan = moments(100, {"hold": bump(10, 5, stay=200), "read_rate": path([(0, 1), (50, 2)])})

    assert [moment.at for moment in plan] == [0, 10, 10.1, 50]
    assert [moment.hold for moment in plan] == [0, 0, 5, 5]
    assert plan[-1].read_rate == 2
    assert all(one.at < other.at for one, other in itertools.pairwise(plan))
