"""How balloons move: speeds that are learned, patience, and the guest that is helped at once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aerostat.engine.conditions import Condition
from aerostat.engine.plan import Reason
from aerostat.engine.settings import Settings
from aerostat.units import MIB

Make = Callable[..., Any]


def test_a_speed_is_learned_in_each_direction(world: Make) -> None:
    host = world([1024, 1024], budget=1200)
    host.pace[0] = 6 * MIB
    plan = host.run(40)
    down = plan.speed_down[0]
    host.use[0] = host.size[0] + 100 * MIB
    host.pace[0] = 20 * MIB
    plan = host.run(9)

    assert down == pytest.approx(6 * MIB, rel=0.01)
    assert plan.speed_up[0] == pytest.approx(20 * MIB, rel=0.1)
    assert np.isnan(world([512], budget=600).run(5).speed_down[0])


def test_who_is_there_before_anybody_looks_is_at_least_that_fast(world: Make) -> None:
    host = world([1024, 1024], budget=1200)
    plan = host.run(20)

    assert plan.speed_down[0] >= 0.5 * host.settings.shrink_rate * 1024 * MIB


def test_one_odd_interval_moves_a_speed_by_little(world: Make) -> None:
    host = world([2048, 2048], budget=1200)
    host.pace[0] = 8 * MIB
    before = host.run(20).speed_down[0]
    host.pace[0] = 1 * MIB
    host.run(1)
    after = host.run(1).speed_down[0]

    assert 0.5 * before < after < before


def test_a_slow_balloon_that_moves_is_not_stuck(world: Make) -> None:
    host = world([1024, 1024], budget=1200)
    host.pace[0] = 0.3 * MIB
    conditions = {int(host.run(1).condition[0]) for _ in range(60)}

    assert conditions == {Condition.FRESH, Condition.DRAINING}


def test_patience_is_longer_with_one_that_was_always_slow(world: Make) -> None:
    host = world([1024, 1024], budget=1200)
    host.run(1)
    host.state.speed_down[0] = 0.08 * MIB
    host.pace[0] = 0.08 * MIB
    conditions = {int(host.run(1).condition[0]) for _ in range(40)}

    assert conditions == {Condition.FRESH, Condition.DRAINING}


def test_a_balloon_that_crawls_far_below_its_own_speed_is_stuck(world: Make) -> None:
    host = world([2048, 2048], budget=1200)
    host.pace[0] = 60 * MIB
    host.run(8)
    host.pace[0] = 1 * MIB
    conditions = [int(host.run(1).condition[0]) for _ in range(30)]

    assert Condition.STUCK in conditions


def test_after_it_was_stuck_a_balloon_is_tried_gently(world: Make) -> None:
    host = world([1024, 1024], budget=1200)
    host.stuck[0] = True
    plan = host.run(14)
    assert plan.condition[0] == Condition.STUCK
    host.stuck[0] = False
    host.target[0] = np.nan
    taken = []
    for _ in range(45):
        before = host.size[0]
        host.run(1)
        taken.append(before - host.size[0])
    tries = [size / MIB for size in taken if size > 0]

    assert tries[0] <= 4
    assert max(tries) >= 30


def test_a_slow_balloon_is_not_asked_for_more_than_it_does_in_a_while(world: Make) -> None:
    host = world([2048, 2048], budget=2000, settings=Settings(loose_rate=0.0))
    host.pace[0] = 5 * MIB
    host.run(20)
    plans = [host.run(1) for _ in range(20)]
    asked = [p.guest_size[0] - p.target_size[0] for p in plans if p.target_size[0] < np.inf]

    assert asked
    assert max(asked) <= 24 * MIB
    # ... and the other gives what is needed meanwhile.
    assert host.size[1] < host.size[0]


def test_an_emergency_is_answered_with_all_that_is_spare(world: Make) -> None:
    host = world([512, 512, 512], budget=750, settings=Settings(mode="density"))
    host.run(60)
    assert host.size.sum() < 550 * MIB
    host.use[0] = host.size[0]
    plan = host.run(1)

    assert plan.reason[0] == Reason.GROW_EMERGENCY
    assert "all that is spare" in plan.explain("guest-0")
    assert host.size[0] > plan.entitlement[0] + 50 * MIB
    # The pool stays for the next one.
    assert 710 * MIB < host.size.sum() <= 720 * MIB


def test_a_guest_that_cannot_even_take_what_it_got_is_offered_all(world: Make) -> None:
    # Distress alone is no emergency here; but its balloon lets go of nothing.
    settings = Settings(mode="density", emergency_pressure=2.0)
    host = world([512, 512], budget=600, settings=settings)
    host.run(60)
    host.use[0] = host.size[0] - MIB
    host.pace[0] = 0.0
    plan = host.run(3)
    offered = host.target[0]
    host.run(10)

    assert min(plan.want[0], plan.entitlement[0]) - MIB <= offered <= plan.entitlement[0]
    assert host.target[0] > offered + 50 * MIB
