"""The guests of the demonstration: their sizes, and work that fits the budget at every moment."""

import pytest

from aerostat.demo.scenario import BUDGET, CYCLE, GUESTS, GuestPlan, Setting, varied
from aerostat.units import GIB, MIB

# What a guest uses that does nothing, seen of these kernels: itself, and its first process.
_AT_REST = 45 * MIB
# About what the engine keeps in reserve for a guest that grows as these do.
_RESERVE = 36 * MIB


def needs(plan: GuestPlan, seconds: float) -> int:
    return plan.workload.wanted(seconds).hold + _AT_REST


def test_sizes_clearly_exceed_the_budget() -> None:
    setting = Setting.managed()
    assert len(setting.guests) == 6
    assert setting.memory == 2.25 * GIB
    assert all(256 * MIB <= guest.size <= 512 * MIB for guest in setting.guests)
    assert setting.memory > 1.5 * BUDGET


@pytest.mark.parametrize("seed", range(10))
def test_needs_fit_the_budget_at_every_moment(seed: int) -> None:
    plans = [varied(plan, seed) for plan in GUESTS]
    for tenth in range(int(CYCLE) * 10):
        assert sum(needs(plan, tenth / 10) + _RESERVE for plan in plans) <= BUDGET


@pytest.mark.parametrize("seed", range(10))
def test_every_guest_fits_its_own_size(seed: int) -> None:
    for plan in GUESTS:
        peak = max(needs(varied(plan, seed), tenth / 10) for tenth in range(int(CYCLE) * 10))
        assert peak + _RESERVE < plan.size


@pytest.mark.parametrize("seed", range(10))
def test_steps_are_in_order_and_within_the_cycle(seed: int) -> None:
    for plan in GUESTS:
        steps = varied(plan, seed).workload.steps
        times = [step.at for step in steps]
        assert times[0] == 0
        assert times == sorted(set(times))
        assert times[-1] < CYCLE


def test_a_seed_gives_the_same_work_always() -> None:
    assert [varied(plan, 7) for plan in GUESTS] == [varied(plan, 7) for plan in GUESTS]


def test_seeds_differ_but_not_in_size_or_name() -> None:
    ones, others = ([varied(plan, seed) for plan in GUESTS] for seed in (1, 2))
    assert ones != others
    assert [(plan.size, plan.name) for plan in ones] == [(plan.size, plan.name) for plan in others]


def test_equal_sizes_are_whole_mib_and_within_the_budget() -> None:
    setting = Setting.equal_sizes(BUDGET)
    sizes = {guest.size for guest in setting.guests}
    assert len(sizes) == 1
    assert sizes.pop() % MIB == 0
    assert BUDGET - 6 * MIB < setting.memory <= BUDGET
    assert not setting.manage


def test_equal_sizes_are_too_small_for_some_peak() -> None:
    """Otherwise nothing would have to move."""
    setting = Setting.equal_sizes(BUDGET)
    assert any(
        max(needs(plan, second) for second in range(int(CYCLE))) > plan.size
        for plan in setting.guests
    )


def test_full_sizes_are_the_managed_ones_let_alone() -> None:
    assert Setting.full_sizes().guests == Setting.managed().guests
    assert not Setting.full_sizes().manage
    assert Setting.managed().manage
