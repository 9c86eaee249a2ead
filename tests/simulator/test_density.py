"""Where policies are compared, and the search for the most guests."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aerostat.engine.policies.catalogue import find
from aerostat.engine.policies.static import Static
from aerostat.errors import UsageError
from aerostat.model.plans import Moment, Plan
from aerostat.simulator.density import Density, densities, density, well
from aerostat.simulator.report.rows import Part, Row
from aerostat.simulator.setting import Setting, grid
from aerostat.simulator.workloads.family import Family
from aerostat.simulator.world import GuestSpec
from aerostat.units import GIB, MIB


def _make(
    _rng: np.random.Generator, index: int, _seconds: float, _common: np.random.Generator
) -> GuestSpec:
    """Return a guest of a GiB that has a bit less than half of that in use, without swap."""
    plan = Plan([Moment(0.0, 400.0 * MIB + index * MIB)], grow_rate=1.0 * GIB)
    return GuestSpec(1.0 * GIB, plan)


FAMILY = Family("half", "Half", "Guests that use half of what they have.", _make)


def setting(**fields: Any) -> Setting:
    values: dict[str, Any] = {
        "seeds": (1, 2), "budget": 4.0 * GIB, "seconds": 20.0, "warm_up": 5.0, "substep": 0.5,
        "families": {"half": FAMILY},
    }  # fmt: skip
    return Setting("half", **{**values, **fields})


def test_a_fuller_house_has_the_guests_of_an_emptier_one() -> None:
    assert setting().house(1, 20).guests[:11] == setting().house(1, 11).guests
    assert len(setting().house(1, 11).guests) == 11
    assert setting().full() == 4.0


def test_rows_are_of_all_seeds() -> None:
    where = setting()
    result = where.run(Static(), [2, 3], compiled=False)
    two, three = where.rows(result, "static", Part.GIVEN)

    assert (two.guests, three.guests) == (2, 3)
    assert two.guest_hours == pytest.approx(2 * 2 * 15.0 / 3600)
    assert three.mean_held == pytest.approx(result.houses.mean_held[2:].mean())
    assert three.p99_slowdown == result.guests.slowdown[4:].max()


@pytest.mark.parametrize("best", [0, 1, 3, 4, 11, 40])
def test_the_search_finds_the_last_count_that_is_well(
    best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def together(asked: Any, _policy: Any, name: str, part: Part) -> list[list[Row]]:
        ((_, counts),) = asked
        tried.extend(counts)
        kills = [(n, float(n > best)) for n in counts]
        return [
            [replace(ROW, policy=name, part=part, guests=n, oom_kills=k) for n, k in kills],
        ]

    monkeypatch.setattr("aerostat.simulator.density.run_together", together)
    found = density(setting(), Static())

    assert found.count == best
    assert (found.best is None) == (best == 0)
    assert {best + 1, *([best] if best else [])} <= set(tried)
    assert len(tried) == len(set(tried)) == len(found.tried)
    assert found.ratio == best / 4


ROW = Row(
    part=Part.SEARCH, family="half", policy="static", dialect="own", guests=1, seeds=(1,),
    seconds=20.0, loss=0.0, delay=0.0, budget=1.0, guest_hours=1.0, p99_slowdown=0.0,
    mean_slowdown=0.0, oom_kills=0.0, host_oom_kills=0.0, major_faults=0.0, alloc_stalls=0.0,
    block_reads=0.0, moves=0.0, mean_size=0.0, mean_held=0.0,
)  # fmt: skip


def test_who_is_well() -> None:
    assert well(replace(ROW, p99_slowdown=0.02))
    assert not well(replace(ROW, p99_slowdown=0.021))
    assert not well(replace(ROW, host_oom_kills=1.0))


def test_a_setting_is_checked() -> None:
    with pytest.raises(UsageError, match="steady"):
        Setting("no such family")
    with pytest.raises(UsageError, match="seed"):
        setting(seeds=(1, 1))


def test_counts_rise_by_a_ratio() -> None:
    assert grid(4.0, 16.0, 2.0) == [4, 8, 16]
    assert next(iter(grid(0.4, 2.0, 1.3))) == 1


@pytest.mark.slow
def test_fixed_sizes_hold_as_many_as_their_arithmetic_says() -> None:
    found: Density = density(setting(), Static())

    # 4 GiB for guests that use about 400 MiB, and whose kernels want about 80 MiB more.
    assert 7 <= found.count <= 9
    assert found.best is not None
    assert found.best.part is Part.DENSITY


@pytest.mark.slow
def test_families_that_are_simulated_together_fare_as_alone() -> None:
    where = [
        Setting(family, seeds=(1,), budget=2.0 * GIB, seconds=150.0)
        for family in ("steady", "build", "files")
    ]
    policy = find("aerostat")

    assert densities(where, policy) == [density(one, policy) for one in where]


def test_what_is_simulated_together_differs_in_the_family_only() -> None:
    where = [setting(), setting(seeds=(7,))]
    with pytest.raises(UsageError, match="families only"):
        densities(where, Static())
