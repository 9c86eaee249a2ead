"""Drills: in each, what its words say happens, and at half time."""

import numpy as np
import pytest

from aerostat.model.plans import Moment, Plan
from aerostat.simulator.workloads.drills import DRILLS, SECONDS
from aerostat.simulator.workloads.happenings import burst
from aerostat.simulator.world import GuestSpec, World
from aerostat.units import GIB


@pytest.mark.parametrize("name", DRILLS)
def test_every_drill_is_a_world(name: str) -> None:
    houses = DRILLS[name].houses(1, 9)

    world = World.of(houses)

    assert len(houses[0].guests) == 9
    assert len(world) == 9 + DRILLS[name].newcomer
    assert houses == DRILLS[name].houses(1, 9)
    assert set(DRILLS[name].course) <= {"loss", "period", "delay"}


def test_the_burst_is_at_a_gibibyte_a_second() -> None:
    (house,) = DRILLS["burst"].houses(1, 9)
    plan = house.guests[0].plan

    assert plan.grow_rate == GIB
    before, after = (np.interp(at, [m.at for m in plan.moments], [m.hold for m in plan.moments])
                     for at in (SECONDS / 2, SECONDS / 2 + 1))  # fmt: skip
    assert after - before > 1.8 * GIB


def test_from_half_time_on_nobody_tells_anything() -> None:
    (house,) = DRILLS["stale"].houses(1, 9)

    assert {guest.silent_from for guest in house.guests} == {SECONDS / 2}


def test_every_fourth_tells_nothing() -> None:
    (house,) = DRILLS["silent"].houses(1, 9)

    assert [k for k, guest in enumerate(house.guests) if guest.dialect == "silent"] == [3, 7]


def test_somebody_comes_from_elsewhere() -> None:
    home, away = DRILLS["migration"].houses(1, 9)
    ((at, to),) = away.guests[0].migrations

    assert (at, to) == (SECONDS / 2, home.name)


def test_what_is_plugged_in_is_wanted() -> None:
    (house,) = DRILLS["hot_plug"].houses(1, 4)

    for guest, plugged in zip(house.guests, (True, False, True, False), strict=True):
        before = max(m.hold for m in guest.plan.moments if m.at <= SECONDS / 2)
        after = max(m.hold for m in guest.plan.moments)
        assert (after > before + 0.3 * guest.max_size) == plugged
        assert [plug.max_size for plug in guest.plugs] == [1.5 * guest.max_size] * plugged


def test_a_burst_is_added_to_what_is_wanted_and_ends() -> None:
    guest = GuestSpec(GIB, Plan([Moment(0, 100.0), Moment(50, 200.0, 10.0)]))

    moments = burst(guest, 70, 1000.0, 20).plan.moments

    assert [moment.at for moment in moments] == pytest.approx([0, 50, 70, 70.1, 90.1, 90.2])
    assert [moment.hold for moment in moments] == pytest.approx([100, 200, 200, 1200, 1200, 200])
    assert [moment.cold for moment in moments] == [0, 10, 10, 10, 10, 10]
