"""Families of guests: honest, alike in kind, and the same guests for the same seed."""

import itertools
import math
from functools import cache

import numpy as np
import pytest

from aerostat.model.plans import Plan
from aerostat.simulator.workloads import FAMILIES, Family
from aerostat.simulator.workloads.family import machine
from aerostat.simulator.world import GuestSpec
from aerostat.units import GIB, MIB

SECONDS = 1200.0
MANY = 24


@cache
def many(family: str) -> tuple[GuestSpec, ...]:
    """Return guests that several tests look at."""
    return FAMILIES[family].guests(5, MANY, SECONDS)


each_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


def wanted(plan: Plan, *names: str) -> np.ndarray:
    """Return columns of a plan second by second, nothing before the guest arrives."""
    at = [moment.at for moment in plan.moments]
    grid = np.arange(SECONDS)
    rows = [[getattr(moment, name) for moment in plan.moments] for name in names]
    present = (grid >= plan.arrives) & (grid < plan.departs)
    return np.array([np.interp(grid, at, row) * present for row in rows])


def needs(guests: tuple[GuestSpec, ...]) -> np.ndarray:
    """Return what each guest's programs use, bytes by second."""
    rows = [wanted(guest.plan, "hold", "cold", "mapped") for guest in guests]
    return np.array([hold - cold + mapped for hold, cold, mapped in rows])


def peaks_by_sum(family: str) -> float:
    """Return how much larger the sum of all peaks is than the peak of the sum."""
    need = needs(many(family))[:, 120:]
    return float(need.max(axis=1).sum() / need.sum(axis=0).max())


def test_the_families_are_those_that_policies_are_judged_on() -> None:
    assert list(FAMILIES) == [
        "steady", "diurnal", "build", "jvm", "files", "leak", "sandbox", "boot_storm",
        "flash_crowd", "liar",
    ]  # fmt: skip
    assert all(family.name == name for name, family in FAMILIES.items())
    assert all(family.title and family.words.endswith(".") for family in FAMILIES.values())


@each_family
def test_a_guest_of_a_seed_is_the_same_however_many_there_are(family: Family) -> None:
    four = family.guests(101, 4, SECONDS)

    assert family.guests(101, 2, SECONDS) == four[:2]
    assert family.guests(101, 1, SECONDS, first=3) == four[3:]
    assert family.guests(102, 1, SECONDS) != four[:1]


@each_family
def test_plans_can_be_had(family: Family) -> None:
    for guest in many(family.name):
        moments = guest.plan.moments
        assert moments[0].at == 0
        assert all(one.at < next_.at for one, next_ in itertools.pairwise(moments))
        assert moments[-1].at <= SECONDS
        assert len(moments) <= 400
        for moment in moments:
            assert all(math.isfinite(value) and value >= 0 for value in moment)
            assert moment.cold <= moment.hold
        # With all its RAM a guest has what it needs.
        room = guest.max_size * (1 - 1 / 40) - 40 * MIB
        assert max(moment.hold + moment.mapped for moment in moments) <= 0.9 * room + 1


def test_machines_are_those_that_are_sold() -> None:
    rng = np.random.default_rng(1)
    machines = [machine(rng) for _ in range(500)]
    sizes = [one.max_size for one in machines]

    assert {min(sizes), max(sizes)} == {512 * MIB, 4 * GIB}
    # Ten of them fill a host of 16 GiB.
    assert np.mean(sizes) == pytest.approx(1.5 * GIB, rel=0.1)
    assert np.mean([one.swap_size > 0 for one in machines]) == pytest.approx(1 / 3, abs=0.07)
    assert np.mean([one.reporting for one in machines]) == pytest.approx(1 / 2, abs=0.07)
    assert np.mean([one.deflate_on_oom for one in machines]) == pytest.approx(1 / 4, abs=0.07)


@each_family
def test_guests_are_no_larger_nor_quicker_than_machines(family: Family) -> None:
    for guest in many(family.name):
        assert 512 * MIB <= guest.max_size <= 4 * GIB
        assert 64 * MIB <= guest.guarantee <= guest.max_size / 4
        assert 64 * MIB <= guest.plan.grow_rate <= GIB


@each_family
def test_working_sets_are_moderate_and_their_peaks_high(family: Family) -> None:
    guests = many(family.name)
    share = needs(guests) / np.array([[guest.max_size] for guest in guests])

    assert 0.1 < share.mean() < 0.5
    assert share.max() < 0.95
    if family.name not in {"files", "leak"}:
        assert share.max() > 0.6


def test_where_peaks_come_at_their_own_times_guests_can_share() -> None:
    assert peaks_by_sum("build") > 2
    assert peaks_by_sum("sandbox") > 2
    assert peaks_by_sum("steady") > 1.4
    # Two of three have the same day.
    assert 1.1 < peaks_by_sum("diurnal") < 1.6


def test_a_crowd_comes_to_all_at_once() -> None:
    assert peaks_by_sum("flash_crowd") < 1.2
    assert all(guest.deflate_on_oom for guest in many("flash_crowd"))


def test_a_boot_storm_takes_a_minute() -> None:
    guests = many("boot_storm")
    arrivals = [guest.plan.arrives for guest in guests if guest.plan.arrives]

    assert MANY / 2 < len(arrivals) < 5 * MANY / 6
    assert max(arrivals) - min(arrivals) <= 60
    # It wants most while it starts.
    for guest in guests:
        (hold,) = wanted(guest.plan, "hold")
        after = slice(int(guest.plan.arrives) + 1, int(guest.plan.arrives) + 90)
        assert hold[after].max() == pytest.approx(hold.max(), rel=0.02)


def test_every_eighth_lies_and_no_other() -> None:
    guests = many("liar")

    assert [index for index, guest in enumerate(guests) if guest.dialect == "liar"] == [3, 11, 19]


def test_a_collection_walks_through_a_heap_that_lay_cold() -> None:
    for guest in many("jvm"):
        moments = guest.plan.moments
        cold = np.array([moment.cold / moment.hold for moment in moments])

        assert cold.max() >= 0.5
        assert cold.min() < 0.05


def test_what_leaks_is_cold_and_comes_to_an_end() -> None:
    for guest in many("leak"):
        hold, cold = wanted(guest.plan, "hold", "cold")

        assert np.corrcoef(hold, cold)[0, 1] > 0.9
        assert (hold - cold).max() < 0.5 * guest.max_size


def test_file_servers_read_more_than_fits_some_of_them() -> None:
    guests = many("files")
    spans = [guest.plan.moments[0].read_span / guest.max_size for guest in guests]
    rates = [max(moment.read_rate for moment in guest.plan.moments) for guest in guests]

    assert sum(span > 1 for span in spans) > MANY / 5
    assert sum(span < 0.7 for span in spans) > MANY / 5
    assert min(rates) > 5 * MIB


def test_a_sandbox_sleeps_most_of_the_time() -> None:
    for guest in many("sandbox"):
        (hold,) = wanted(guest.plan, "hold")

        assert np.mean(hold < 0.1 * guest.max_size) > 0.5
