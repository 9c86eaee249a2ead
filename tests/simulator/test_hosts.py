"""The hosts' side: swap beyond the budget, the OOM killer beyond the swap, pressure, nodes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.engine.observation import FloatArray
from aerostat.errors import UsageError
from aerostat.model.plans import Moment, Plan
from aerostat.simulator.hosts import Houses
from aerostat.simulator.world import GuestSpec, House, World
from aerostat.units import GIB, MIB

PLAN = Plan([Moment(0.0, 100.0 * MIB)])


def hosts(guests: int = 3, *, swap: float = 1.0, nodes: tuple[float, ...] = ()) -> Houses:
    """Return one house with a budget of 4 GiB; `swap` and `nodes` are in GiB."""
    specs = tuple(
        GuestSpec(4.0 * GIB, PLAN, node=row % max(len(nodes), 1)) for row in range(guests)
    )
    sizes = tuple(node * GIB for node in nodes)
    house = House("house", 4.0 * GIB, specs, swap_size=swap * GIB, node_sizes=sizes)
    return Houses(World.of([house]))


def gib(*amounts: float) -> FloatArray:
    return np.array(amounts) * GIB


ONE_HOUSE = np.zeros(3, dtype=np.int64)


def test_within_the_budget_nobody_stalls() -> None:
    house = hosts()
    settled = house.settle(gib(1, 1, 2), ONE_HOUSE, 1.0)

    assert not settled.stall.any()
    assert not len(settled.killed)
    assert house.pressure[0] == 0.0
    assert house.seen().available[0] == pytest.approx(0.04 * 4 * GIB)


def test_beyond_the_budget_the_host_swaps_and_all_guests_miss_pages() -> None:
    house = hosts()
    settled = house.settle(gib(1, 2, 2), ONE_HOUSE, 1.0)

    assert settled.stall == pytest.approx(0.2)
    assert house.swapped[0] == 1 * GIB
    assert house.swap_out[0] == 1 * GIB
    assert house.pressure[0] > 0
    assert house.resident_share[0] == pytest.approx(0.8)
    assert not len(settled.killed)


def test_beyond_the_swap_the_largest_guests_die_until_the_rest_fits() -> None:
    house = hosts()
    settled = house.settle(gib(1.5, 2, 3), ONE_HOUSE, 1.0)

    assert settled.killed.tolist() == [2]
    assert house.held[0] == 3.5 * GIB
    assert not settled.stall.any()
    assert house.oom_kills[0] == 1


@given(st.lists(st.floats(0, 8), min_size=3, max_size=3), st.floats(0, 2))
def test_what_is_left_always_fits(held: list[float], swap: float) -> None:
    house = hosts(swap=swap)
    settled = house.settle(gib(*held), ONE_HOUSE, 1.0)
    left = np.delete(gib(*held), settled.killed)

    assert house.held[0] == pytest.approx(left.sum(), abs=1.0)
    assert house.held[0] <= house.budget[0] + house.swap_size[0]
    assert ((settled.stall >= 0) & (settled.stall <= 1)).all()
    if len(settled.killed):
        assert gib(*held)[settled.killed].min() >= left.max(initial=0.0)


def test_pressure_fades_when_the_swap_is_empty_again() -> None:
    house = hosts()
    house.settle(gib(1, 2, 2), ONE_HOUSE, 1.0)
    felt = house.pressure[0]
    house.settle(gib(1, 1, 1), ONE_HOUSE, 10.0)

    assert house.pressure[0] == pytest.approx(felt * np.exp(-1.0))
    assert house.swap_out[0] == 0.0


def test_what_does_not_fit_a_node_is_remote_for_its_guests_alone() -> None:
    house = hosts(nodes=(2, 2))
    settled = house.settle(gib(1.5, 1, 1.5), ONE_HOUSE, 1.0)

    assert settled.remote == pytest.approx([1 / 3, 0, 1 / 3])


def test_a_world_is_checked() -> None:
    with pytest.raises(UsageError, match="node"):
        House("house", 1.0 * GIB, (GuestSpec(1.0 * GIB, PLAN, node=1),))
    with pytest.raises(UsageError, match="same name"):
        World.of([House("house", 1.0 * GIB, (GuestSpec(1.0 * GIB, PLAN),))] * 2)
    with pytest.raises(UsageError, match="nobody"):
        World.of([House("house", 1.0 * GIB, ())])
    with pytest.raises(UsageError, match="guarantee"):
        GuestSpec(1.0 * GIB, PLAN, guarantee=2.0 * GIB)
