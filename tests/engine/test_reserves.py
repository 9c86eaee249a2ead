"""What guests keep spare: all of it where there is room, and the same part where there is not."""

from collections.abc import Callable
from typing import Any

import numpy as np

from aerostat.balloon.statistics import Tag
from aerostat.engine.reserves import follow_rush
from aerostat.units import MIB

Make = Callable[..., Any]


def test_where_not_all_reserves_fit_who_needs_memory_goes_before_who_might(world: Make) -> None:
    host = world([1024, 1024, 1024], budget=1500)
    host.run(60)
    host.use[:2] += 200 * MIB
    host.run(1)
    host.use[:2] -= 200 * MIB
    ample = host.run(5).reserve.copy()
    host.use[2] = 900 * MIB
    plan = host.run(30)

    assert (ample[:2] >= 300 * MIB).all()
    assert (plan.reserve[:2] < 0.7 * ample[:2]).all()
    assert np.isclose(plan.reserve[0], plan.reserve[1], rtol=0.05)
    # Had the others kept all of theirs, it would have had 500 MiB.
    assert host.size[2] >= 750 * MIB


def test_a_guest_that_was_killed_for_want_of_memory_keeps_more(world: Make) -> None:
    host = world([1024], budget=2000)
    kills = np.zeros(1)
    host.extra = {Tag.OOM_KILLS: kills}
    before = host.run(5).reserve[0]
    kills += 1.0
    after = host.run(1).reserve[0]

    assert after >= 1.9 * before


def test_however_often_it_was_killed_its_reserve_has_a_limit(world: Make) -> None:
    host = world([1024], budget=2000)
    kills = np.zeros(1)
    host.extra = {Tag.OOM_KILLS: kills}
    for _ in range(20):
        kills += 1.0
        plan = host.run(1)

    assert plan.reserve[0] == 512 * MIB
    assert host.state.growth[0] <= 1024 * MIB


def test_a_guest_that_never_grows_keeps_less_and_less(world: Make) -> None:
    host = world([1024], budget=2000)
    before = host.run(2).reserve[0]
    host.now += 3000.0
    after = host.run(2).reserve[0]

    assert before >= 0.05 * 1024 * MIB
    assert after == host.settings.reserve_floor


def test_whose_programs_would_be_killed_keeps_its_reserve_first(world: Make) -> None:
    host = world([1024, 1024, 1024], budget=1850)
    total = host.max_size.copy()
    host.extra = {Tag.TOTAL_MEMORY: total}
    for _ in range(60):
        total[0] = host.size[0]  # its driver takes the balloon off the total
        host.run(1)
    host.use[:2] += 150 * MIB
    host.run(1)
    host.use[:2] -= 150 * MIB
    host.use[2] = 900 * MIB
    for _ in range(20):
        total[0] = host.size[0]
        plan = host.run(1)

    assert plan.reserve[0] > 120 * MIB
    assert plan.reserve[1] < 0.5 * plan.reserve[0]


def test_a_guest_that_has_swapped_has_somewhere_to_go(world: Make) -> None:
    host = world([1024, 1024], budget=1100)
    host.extra = {Tag.SWAP_OUT: np.array([0.0, 5 * MIB])}
    host.run(120)

    # Nobody needs the rest: it makes that guest ready whose programs would be killed.
    assert host.size[0] - host.use[0] >= 0.29 * 1024 * MIB
    assert host.size[0] > host.size[1] + 50 * MIB


def test_a_guest_in_an_emergency_that_lets_go_of_much_had_a_program_killed(world: Make) -> None:
    host = world([1024, 1024], budget=2000)
    before = host.run(5).reserve
    host.use[0] = host.size[0]
    host.run(2)
    host.use[0] -= 400 * MIB
    after = host.run(1).reserve
    host.use[0] -= 400 * MIB  # that one had no need
    again = host.run(1).reserve

    assert after[0] >= 1.9 * before[0]
    assert again[0] == after[0]


def test_who_has_run_out_grows_as_fast_as_it_is_given_memory(world: Make) -> None:
    host = world([4096], budget=4096)
    host.use[0] = 1000 * MIB
    host.run(5)
    _, guests = host.observe()
    demand, elapsed = host.state.demand + 50 * MIB, np.ones(1)

    def rush(scarcity: float) -> float:
        settings, scarce = host.settings, np.full(1, scarcity)
        return float(follow_rush(host.state, guests, demand, elapsed, scarce, settings)[0])

    assert rush(0.0) == 0.0, "so little of its maximum may be chance"
    assert rush(1.0) == 50 * MIB
