"""Reservations: guests give for one that is yet to come, and what is backed stays backed."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.engine.plan import Reason
from aerostat.units import MIB

Make = Callable[..., Any]

houses = st.lists(
    st.tuples(st.integers(96, 640), st.floats(0.1, 0.6), st.floats(0, 1)), min_size=1, max_size=6
)


@settings(max_examples=settings().max_examples // 10)
@given(guests=houses, room=st.floats(0.7, 1.2), part=st.floats(0.05, 1.0), calm=st.integers(3, 40))
def test_what_guests_can_give_is_backed_wholly_and_soon(
    world: Make, guests: Any, room: float, part: float, calm: int
) -> None:
    sizes, use, overhead = (np.array(column) for column in zip(*guests, strict=True))
    host = world(list(sizes), budget=room * sizes.sum())
    host.use = use * host.max_size
    host.overhead = overhead * 80 * MIB
    host.budget += host.overhead.sum()
    plan = host.run(calm)
    needed = np.maximum(plan.want, host.guarantee).sum() + host.overhead.sum()
    host.reserved[0] = np.floor(part * max(host.budget[0] - needed - MIB, 0.0))
    plan = host.run(45)

    assert plan.reserved_backed[0] == host.reserved[0]


def test_comfort_is_given_for_a_reservation_until_it_is_backed(world: Make) -> None:
    host = world([512, 512, 512], budget=1600)
    host.run(20)
    host.reserved[0] = 600 * MIB
    first = host.run(1)
    plan = host.run(40)

    assert first.reserved_backed[0] < 100 * MIB
    assert set(first.reason) == {Reason.SHRINK_RESERVED}
    assert "600 MiB is reserved for guests to come" in first.explain("guest-0")
    assert plan.reserved_backed[0] == 600 * MIB
    assert (host.size >= plan.want).all()
    assert host.size.sum() <= 1000 * MIB


def test_a_reservation_that_is_cancelled_gives_comfort_back(world: Make) -> None:
    host = world([512, 512], budget=1100)
    host.reserved[0] = 500 * MIB
    host.run(40)
    small = host.size.sum()
    host.reserved[0] = 0.0
    plan = host.run(40)

    assert small <= 600 * MIB
    assert plan.reserved_backed[0] == 0
    assert (host.size == 512 * MIB).all()


def test_what_cannot_be_covered_is_said_not_to_be(world: Make) -> None:
    host = world([512, 512], budget=1000)
    host.use[:] = 300 * MIB
    host.reserved[0] = 900 * MIB
    plan = host.run(60)

    assert (host.size >= host.guarantee).all()
    assert 0 < plan.reserved_backed[0] < 900 * MIB
    assert plan.reserved_backed[0] <= 1000 * MIB - host.size.sum()


def test_what_the_host_has_not_backs_nothing(world: Make) -> None:
    host = world([512, 512], budget=4000)
    host.available[0] = 300 * MIB
    host.reserved[0] = 1000 * MIB
    plan = host.plan()

    assert plan.reserved_backed[0] <= 300 * MIB


def test_a_need_beyond_the_share_does_not_eat_a_backed_reservation(world: Make) -> None:
    host = world([1024, 512], budget=1000)
    host.use[:] = 60 * MIB
    host.reserved[0] = 400 * MIB
    host.run(40)
    host.use[0] = 900 * MIB
    plans = [host.run(1) for _ in range(20)]

    assert all(plan.reserved_backed[0] == 400 * MIB for plan in plans)
    assert host.size[0] < 600 * MIB
    assert plans[-1].want[0] > host.size[0]
    assert plans[-1].moves() == []


def test_a_guarantee_goes_before_a_backed_reservation(world: Make) -> None:
    host = world([1024, 512], budget=1000)
    host.use[:] = 60 * MIB
    host.reserved[0] = 600 * MIB
    host.run(40)
    host.guarantee[0] = 600 * MIB
    plan = host.run(1)

    assert host.size[0] == 600 * MIB
    assert plan.reserved_backed[0] < 600 * MIB


def test_up_to_the_entitlement_a_need_goes_before_a_claim(world: Make) -> None:
    host = world([512, 640], budget=700)
    host.size[:] = np.array([110.0, 560.0]) * MIB
    host.use[:] = np.array([90.0, 250.0]) * MIB
    host.reserved[0] = 100 * MIB
    first = host.run(1)
    need = first.want[0]
    plan = host.run(30)

    assert first.accounts.spare[0] == 0
    assert host.size[0] >= need - 4096 > 110 * MIB
    assert first.reserved_backed[0] < 30 * MIB
    assert plan.reserved_backed[0] == 100 * MIB


def test_a_silent_guest_gives_nothing_for_a_reservation(world: Make) -> None:
    host = world([512, 512], budget=1100)
    host.run(3)
    host.silent[0] = True
    host.run(40)
    before = host.size[0]
    host.reserved[0] = 700 * MIB
    host.run(60)

    assert host.size[0] == before
    assert host.size[1] < 300 * MIB


def test_a_reservation_is_no_danger_to_the_host(world: Make) -> None:
    host = world([512, 512], budget=800)
    host.use[:] = 300 * MIB
    host.run(30)
    host.reserved[0] = 800 * MIB
    reasons = {int(reason) for _ in range(20) for reason in host.run(1).reason}

    assert Reason.SHRINK_SURVIVAL not in reasons


def test_hosts_reserve_apart(world: Make) -> None:
    host = world([512, 512, 512, 512], budget=1000)
    host.budget = np.array([1100.0, 1100.0]) * MIB
    host.host = np.array([0, 0, 1, 1])
    host.available = host.host_pressure = host.host_swap_out = np.full(2, np.nan)
    host.reserved = np.array([500.0, 0.0]) * MIB
    plan = host.run(40)

    assert plan.reserved_backed.tolist() == [500 * MIB, 0]
    assert (host.size[2:] == 512 * MIB).all()
