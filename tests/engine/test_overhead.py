"""What guests hold beyond their size: learned, and answered for by those that hold it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.engine.conditions import Condition
from aerostat.units import MIB

PAGE = 4096
Make = Callable[..., Any]

houses = st.lists(
    st.tuples(st.integers(128, 1024), st.floats(0.1, 1.2), st.floats(0, 1)), min_size=2, max_size=6
)


@settings(max_examples=settings().max_examples // 10)
@given(guests=houses, part=st.floats(0.5, 1.0))
def test_what_guests_hold_comes_to_fit_the_budget(world: Make, guests: Any, part: float) -> None:
    sizes, use, overhead = (np.array(column) for column in zip(*guests, strict=True))
    host = world(list(sizes), budget=part * sizes.sum())
    host.use = use * host.max_size
    # As much as a monitor may have; of one that has more, the balloon is suspected.
    host.overhead = overhead * host.settings.monitor
    host.budget += host.overhead.sum()
    host.run(90)

    # A size is a whole number of pages.
    assert host.held.sum() <= host.budget[0] + PAGE * len(sizes)


def test_the_memory_of_eight_monitors_is_taken_into_account(world: Make) -> None:
    host = world([256] * 8, budget=1536)
    host.overhead[:] = np.array([50, 55, 60, 65, 70, 75, 80, 90]) * MIB
    host.cache[:] = 256 * MIB
    plan = host.run(60)

    assert host.held.sum() <= 1536 * MIB
    assert (plan.condition == Condition.FRESH).all()
    assert plan.accounts.permitted[0] == host.size.sum()
    settled = host.size.copy()
    host.run(60)
    assert np.allclose(host.size, settled, atol=4 * MIB)


def test_its_own_balloon_answers_for_it(world: Make) -> None:
    plain, fat = (world([512, 512, 512], budget=1300) for _ in range(2))
    fat.overhead[0] = 80 * MIB
    for host in (plain, fat):
        host.use[:] = 600 * MIB
        plan = host.run(60)

    assert plain.size[0] - 80 * MIB < fat.size[0] < plain.size[0] - 40 * MIB
    assert np.allclose(fat.held, fat.held[0], atol=8 * MIB)
    assert (plan.entitlement >= fat.guarantee).all()


def test_a_figure_that_leaps_takes_nobody_below_its_share(world: Make) -> None:
    host = world([512, 512, 512], budget=1300)
    host.use[:] = 600 * MIB
    before = host.run(40).entitlement.copy()
    sizes = host.size.copy()
    for second in range(40):
        host.overhead[0] = 400 * MIB if second % 10 == 0 else 0.0
        plan = host.run(1)
        assert (host.size[1:] >= np.minimum(sizes, plan.entitlement)[1:] - PAGE).all()

    # ... and its share falls by a third of what was learned of it at most.
    assert (plan.entitlement[1:] >= before[1:] - 0.34 * host.state.overhead[0] - PAGE).all()
    assert host.state.overhead[0] < 400 * MIB


def test_nothing_is_granted_into_what_a_monitor_holds(world: Make) -> None:
    host = world([512, 512, 512], budget=1400)
    host.overhead[:] = 80 * MIB
    host.cache[:] = 512 * MIB
    host.run(60)
    host.cache[0] = 0.0  # it lets go of what it had, and its monitor does not
    held = [host.run(1) and host.held.sum() for _ in range(40)]
    host.cache[0] = 512 * MIB

    assert max(held) <= 1400 * MIB
    assert host.held.sum() <= 1400 * MIB


def test_a_monitor_is_not_mistaken_for_a_useless_balloon(world: Make) -> None:
    host = world([512, 512], budget=1000)
    host.overhead[:] = 90 * MIB
    host.cache[:] = 512 * MIB
    conditions = {int(row) for _ in range(90) for row in host.run(1).condition}

    assert conditions <= {Condition.FRESH, Condition.DRAINING}


@pytest.mark.parametrize("budget", [900, 920, 940, 960])
def test_untouched_memory_behind_a_monitor_is_no_fault(world: Make, budget: float) -> None:
    host = world([512, 512], budget=budget)
    host.overhead[:] = 70 * MIB
    host.use[:], host.cache[:] = 100 * MIB, 300 * MIB
    conditions = {int(row) for _ in range(60) for row in host.run(1).condition}

    assert (host.size < 480 * MIB).all()
    assert conditions <= {Condition.FRESH, Condition.DRAINING}


def test_a_useless_balloon_has_no_overhead_once_it_is_given_back(world: Make) -> None:
    host = world([1024, 1024], budget=1900)
    host.locked[0] = True
    host.run(40)
    assert host.plan().condition[0] == Condition.USELESS
    host.budget[0] = 2500 * MIB
    plan = host.run(20)

    assert host.size[0] == 1024 * MIB
    assert host.state.overhead[0] == 0.0
    assert plan.accounts.exposure[0] == 0.0
