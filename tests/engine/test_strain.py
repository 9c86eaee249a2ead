"""The host's own distress, whatever its budget says: noticed, answered with care, forgiven."""

from collections.abc import Callable
from typing import Any

import numpy as np

from aerostat.engine.plan import Reason
from aerostat.engine.settings import Settings
from aerostat.units import MIB

Make = Callable[..., Any]


def test_a_host_that_waits_for_memory_gets_comfort_back(world: Make) -> None:
    host = world([1024, 1024], budget=3000)
    host.run(5)
    host.host_pressure[0] = 0.6
    plan = host.run(10)

    assert (host.size < 1024 * MIB).all()
    assert plan.reason[0] == Reason.SHRINK_STRAIN
    assert "wait for memory 60% of the time" in plan.explain("guest-0")
    assert plan.host_strain[0] > 0.5
    assert plan.accounts.exposure[0] == 0


def test_a_strained_host_takes_nothing_that_a_guest_needs(world: Make) -> None:
    host = world([1024, 1024], budget=3000)
    host.use[:] = 500 * MIB
    host.host_pressure[0] = 1.0
    host.host_swap_out[0] = 500 * MIB
    plan = host.run(60)

    assert (host.size >= plan.want - 4 * MIB).all()
    assert host.size.sum() >= host.settings.lid_lowest_share * 3000 * MIB - MIB


def test_one_bad_second_is_no_strain(world: Make) -> None:
    host = world([1024, 1024], budget=3000)
    host.run(5)
    host.host_pressure[0] = 0.5
    host.run(1)
    host.host_pressure[0] = 0.0
    host.run(10)

    assert (host.size == 1024 * MIB).all()


def test_comfort_returns_slowly_once_the_host_is_at_ease(world: Make) -> None:
    host = world([1024, 1024], budget=2200)
    host.host_swap_out[0] = 300 * MIB
    plan = host.run(10)
    low = host.size.sum()
    assert "the host swaps out 300 MiB a second" in plan.explain("guest-0")
    host.host_swap_out[0] = 0.0
    host.run(15)
    calm = host.size.sum()
    host.run(20)
    later = host.size.sum()
    host.settings = Settings(lid_rise=0.05)
    host.run(60)

    assert low < 2048 * MIB
    assert low - 200 * MIB <= calm <= low + 50 * MIB
    assert calm < later < calm + 200 * MIB
    assert host.size.sum() == 2048 * MIB


def test_a_size_as_budget_ends_where_the_host_ends(world: Make) -> None:
    # Another program has taken what the budget still promises.
    host = world([1024, 1024], budget=4000)
    host.use[:] = 300 * MIB
    host.run(3)
    host.available[0] = 100 * MIB
    plan = host.run(1)
    assert plan.accounts.limit[0] < 700 * MIB
    assert plan.accounts.spare[0] == 0
    host.run(40)

    assert host.size.sum() < 1100 * MIB


def test_a_host_that_has_nothing_left_is_in_danger_within_its_budget(world: Make) -> None:
    host = world([1024, 1024], budget=4000)
    host.use[:] = 900 * MIB
    host.run(3)
    host.available[0] = 20 * MIB
    plan = host.run(1)

    assert plan.accounts.urgency[0] > 1
    assert plan.reason[0] == Reason.SHRINK_SURVIVAL
    assert "more than the host has, with 20 MiB available" in plan.explain("guest-0")


def test_what_a_host_does_not_say_is_no_strain(world: Make) -> None:
    host = world([1024, 1024], budget=3000)
    plan = host.run(5)

    assert np.isnan(host.host_pressure).all()
    assert plan.host_strain[0] == 0
    assert plan.moves() == []
