"""MOM's rules and vdsm's, held to figures that the original gave."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.policies.base import Policy
from aerostat.engine.policies.mom import Mom
from aerostat.engine.policies.vdsm import Vdsm
from aerostat.units import GIB

Shown = Callable[..., tuple[Hosts, Guests]]

NOTHING = float("nan")


@dataclass(frozen=True)
class Case:
    """A guest of 8 GiB on a host with a share of its memory free, and what comes of it."""

    host_free: float
    size: float
    free: float
    target: float


def target(policy: Policy, shown: Shown, case: Case, **columns: float) -> float:
    """Return what is asked of a guest, in GiB."""
    told = {Tag.FREE_MEMORY: case.free}
    seen = shown([case.size], budget=100, host_free=100 * case.host_free, told=told, **columns)
    _, decided = policy.step(policy.start(), 0.0, *seen)
    return float(decided.target_size[0]) / GIB


@pytest.mark.parametrize(
    "case",
    [
        Case(0.15, 8, 2.0, 7.60),  # the largest step down
        Case(0.15, 8, 1.0, NOTHING),  # it has no more free than it is to keep
        Case(0.04, 8, 0.2, 7.72),  # a host in need: less than the guest uses
        Case(0.30, 4, 0.2, 4.60),  # a guest in need grows by more than a step
        Case(0.30, 4, 2.0, 4.20),  # any guest grows by a step
    ],
)
def test_what_the_original_was_seen_to_do(shown: Shown, case: Case) -> None:
    assert target(Mom(), shown, case) == pytest.approx(case.target, abs=1e-5, nan_ok=True)


def test_in_growing_vdsm_leaves_guests_what_the_host_has_itself(shown: Shown) -> None:
    case = Case(0.30, 4, 0.2, 5.0)

    assert target(Vdsm(), shown, case) == pytest.approx(case.target, abs=1e-5)


def test_vdsm_sets_a_guest_below_its_minimum_to_that(shown: Shown) -> None:
    case = Case(0.15, 2, 0.1, 3.0)

    assert target(Vdsm(), shown, case, guarantee=3.0) == case.target


def test_averages_are_over_the_last_samples(shown: Shown) -> None:
    mom = Mom(interval=10.0, window=30.0)
    memory = mom.start()
    sizes = []
    for now, free in enumerate([0.2, 2.0, 2.0, 2.0]):
        told = {Tag.FREE_MEMORY: free}
        seen = shown([8], budget=100, host_free=15, told=told)
        memory, decided = mom.step(memory, 10.0 * now, *seen)
        sizes.append(float(decided.target_size[0]) / GIB)

    # In the third step the mean of 0.2, 2 and 2 is free; in the fourth the first is forgotten.
    expected = [NOTHING, NOTHING, 8 - 1.4 + 1.2, 7.6]
    assert sizes == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_a_guest_without_figures_is_left_alone(shown: Shown) -> None:
    seen = shown([8], budget=100, host_free=15)
    _, decided = Mom().step(Mom().start(), 0.0, *seen)

    assert np.isnan(decided.target_size).all()
    assert "not told" in decided.sentence(0)
