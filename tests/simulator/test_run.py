"""Running: what policies are shown, what they bring about, and that it is always the same."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from aerostat.engine.observation import FloatArray, Guests, Hosts
from aerostat.engine.plan import Plan as Moves
from aerostat.engine.policies.aerostat import Aerostat
from aerostat.engine.policies.base import Decision
from aerostat.errors import UsageError
from aerostat.model.plans import Moment, Plan
from aerostat.simulator.foresight import Foresight
from aerostat.simulator.results import Result, Series
from aerostat.simulator.run import simulate
from aerostat.simulator.world import GuestSpec, House, Migration, Plug
from aerostat.units import GIB, MIB

MakeHouse = Callable[..., House]

# As the model is, but coarse: a test is not to wait for a compiler.
COARSE: dict[str, Any] = {"seconds": 20.0, "warm_up": 5.0, "substep": 1.0, "compiled": False}


@dataclass(frozen=True, slots=True)
class Fixed:
    """Asks for the same size always, and remembers what it was shown."""

    name: ClassVar[str] = "fixed"

    size: float = np.nan
    interval: float = 1.0

    def start(self) -> list[tuple[float, Hosts, Guests]]:
        return []

    def step(
        self, memory: list[Any], now: float, hosts: Hosts, guests: Guests
    ) -> tuple[list[Any], Decision]:
        return [*memory, (now, hosts, guests)], Decision(np.full(len(guests), self.size))


def one(plan: Plan, **spec: Any) -> House:
    return House("one", 4.0 * GIB, (GuestSpec(1.0 * GIB, plan, **spec),))


def same(one: Result, other: Result) -> bool:
    """Tell whether two results have the same bits."""
    pairs = [
        *((getattr(one.guests, f.name), getattr(other.guests, f.name)) for f in fields(one.guests)),
        *((getattr(one.houses, f.name), getattr(other.houses, f.name)) for f in fields(one.houses)),
    ]
    return all(np.array_equal(left, right) for left, right in pairs)


class Seen:
    """Keeps all that a policy was shown."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.hosts: list[Hosts] = []
        self.guests: list[Guests] = []
        self.decided: list[Any] = []

    def __call__(self, now: float, hosts: Hosts, guests: Guests, decided: Any) -> None:
        self.times.append(now)
        self.hosts.append(hosts)
        self.guests.append(guests)
        self.decided.append(decided)


def test_the_same_again_is_the_same(house: MakeHouse) -> None:
    first, again = (simulate([house()], Aerostat(), **COARSE, loss=0.3) for _ in range(2))

    assert same(first, again)
    assert first.guests.moves.sum() > 0


@pytest.mark.parametrize("policy", [Aerostat(), Fixed(600.0 * MIB)], ids=lambda each: each.name)
def test_a_house_fares_the_same_in_any_company(house: MakeHouse, policy: Any) -> None:
    alone = simulate([house("this", 3)], policy, **COARSE, loss=0.3)
    others = [house("before", 2, budget=1.0), house("this", 3), house("after", 5, budget=3.1)]
    among = simulate(others, policy, **COARSE, loss=0.3)

    assert (among.guests.lost[2:5] == alone.guests.lost).all()
    assert (among.guests.mean_size[2:5] == alone.guests.mean_size).all()
    assert among.keys[2:5] == alone.keys


def test_the_guarantee_is_never_broken_and_nothing_is_promised_twice(house: MakeHouse) -> None:
    seen = Seen()
    simulate([house(count=6)], Aerostat(), **COARSE, watch=seen)

    for guests, plan in zip(seen.guests, seen.decided, strict=True):
        assert isinstance(plan, Moves)
        targets = plan.target_size
        assert not (targets < guests.guarantee).any()
        assert not (targets > guests.max_size).any()
        # What is permitted grows only by what is free: in the ledger, or really on the host.
        grants = np.where(np.isnan(targets), 0.0, np.maximum(targets - guests.guest_size, 0.0))
        grants -= np.maximum(np.nan_to_num(plan.asked) - guests.guest_size, 0.0)
        covered = max(plan.accounts.spare[0], plan.accounts.cover[0])
        assert np.maximum(grants, 0.0).sum() <= covered + 4096 * len(guests)
    assert sum(np.nansum(plan.target_size) for plan in seen.decided) > 0


def test_no_byte_is_lost_or_made(house: MakeHouse) -> None:
    result = simulate([house()], Fixed(400.0 * MIB), **COARSE, record=1.0)
    series = result.series

    assert series is not None
    assert (series.size + series.balloon == 1.0 * GIB).all()
    assert (series.held <= series.size).all()
    assert (series.balloon[-1] > 500 * MIB).any()
    assert series.house_held[:, 0] == pytest.approx(series.held.sum(axis=1))
    assert (np.diff(series.lost, axis=0) >= 0).all()
    assert (result.guests.slowdown <= 1).all()


def test_guests_are_shown_while_they_are_there() -> None:
    plan = Plan([Moment(0.0, 100.0 * MIB)], arrives=5.0, departs=12.0)
    there = House("house", 4.0 * GIB, (GuestSpec(1.0 * GIB, plan), GuestSpec(2.0 * GIB, PLAN)))
    seen = Seen()
    result = simulate([there], Fixed(), **COARSE, watch=seen)

    shown = [len(guests) for guests in seen.guests]
    assert shown == [1] * 5 + [2] * 7 + [1] * 8
    assert seen.guests[0].keys == ("house/1",)
    assert seen.guests[6].keys is seen.guests[7].keys
    assert result.guests.seconds.tolist() == [7.0, 15.0]


PLAN = Plan([Moment(0.0, 100.0 * MIB)])


def test_a_policy_sees_what_a_manager_could_see() -> None:
    seen = Seen()
    there = replace(one(PLAN, guarantee=100.0 * MIB, shares=2.0), swap_size=1.0 * GIB)
    simulate([there], Fixed(), **COARSE, watch=seen)

    assert seen.times[3] == 3.05
    guests, hosts = seen.guests[15], seen.hosts[15]
    assert guests.sample_time[0] == 15.0
    assert guests.guest_size[0] == guests.max_size[0] == 1.0 * GIB
    assert 100 * MIB < guests.held[0] < 1.0 * GIB
    assert guests.guarantee[0] == 100.0 * MIB
    assert guests.shares[0] == 2.0
    assert hosts.available[0] == pytest.approx(1.04 * 4 * GIB - guests.held[0])
    assert not np.isnan(guests.statistics[0, :8]).any()


def test_a_policy_steps_at_its_interval() -> None:
    seen = Seen()
    simulate([one(PLAN)], Fixed(interval=10.0), **COARSE, watch=seen)

    assert seen.times == pytest.approx([0.05, 10.05])


def test_a_policy_steps_where_nobody_is_there_as_well() -> None:
    seen = Seen()
    simulate([one(replace(PLAN, arrives=5.0))], Fixed(), **COARSE, watch=seen)

    assert [len(guests) for guests in seen.guests[:7]] == [0] * 5 + [1] * 2


def test_a_driver_that_falls_silent_sends_no_more() -> None:
    seen = Seen()
    simulate([one(PLAN, silent_from=10.0)], Fixed(), **COARSE, watch=seen)

    assert seen.guests[-1].sample_time[0] == 9.0


def test_memory_that_is_plugged_in_is_there() -> None:
    seen = Seen()
    plugs = (Plug(10.0, 1.5 * GIB),)
    result = simulate([one(PLAN, plugs=plugs)], Fixed(800 * MIB), **COARSE, watch=seen, record=1.0)

    assert [guests.max_size[0] for guests in seen.guests[9:11]] == [1.0 * GIB, 1.5 * GIB]
    assert result.guests.max_size[0] == 1.5 * GIB
    assert result.series is not None
    assert result.series.size[-1, 0] == pytest.approx(800 * MIB, abs=1 * MIB)


def test_a_guest_migrates_with_all_that_it_holds() -> None:
    moving = GuestSpec(1.0 * GIB, PLAN, migrations=(Migration(10.0, "there"),))
    houses = [House("here", 1.0 * GIB, (moving,)), House("there", 1.0 * GIB, ())]
    result = simulate(houses, Fixed(), **COARSE, record=1.0)
    series = result.series

    assert series is not None
    assert (series.house_held[:10, 0] > 0).all()
    assert (series.house_held[10:, 0] == 0).all()
    assert series.house_held[10, 1] == series.held[10, 0] > 0


def test_a_guest_that_its_host_kills_starts_again_and_has_lost_that_time() -> None:
    plan = Plan([Moment(0.0, 800.0 * MIB)], grow_rate=400.0 * MIB)
    there = House("house", 1.0 * GIB, (GuestSpec(1.0 * GIB, plan), GuestSpec(1.0 * GIB, plan)))
    result = simulate([there], Fixed(), **{**COARSE, "seconds": 60.0})

    assert result.houses.host_oom_kills[0] == result.guests.host_oom_kills.sum() >= 1
    assert result.guests.lost.max() >= 30.0
    assert result.oom_kills >= 1


@dataclass(frozen=True, slots=True)
class Boots(Fixed):
    """Has a size for guests that start, and wants to know what is to come."""

    foresight: Foresight | None = None

    def foretold(self, foresight: Foresight) -> "Boots":
        return replace(self, foresight=foresight)

    def boots_at(self, hosts: Hosts, guests: Guests) -> FloatArray:
        assert self.foresight is not None
        assert (guests.guest_size == guests.max_size).all()
        return self.foresight.need(guests.keys, 0.0, 30.0)


def test_a_policy_may_say_with_which_size_guests_start() -> None:
    result = simulate([one(PLAN)], Boots(), **COARSE, record=1.0)

    assert result.series is not None
    sizes = result.series.size[:, 0]
    assert sizes[0] == sizes[-1]
    assert 100 * MIB < sizes[0] < 250 * MIB
    assert result.guests.lost[0] == 0.0


def test_parts_of_a_world_come_together(house: MakeHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    houses = [house(f"house {row}", 2) for row in range(3)]
    whole = simulate(houses, Fixed(500 * MIB), **COARSE, record=10.0)
    told: list[tuple[float, float]] = []
    with monkeypatch.context() as patched:
        patched.setattr("aerostat.simulator.run.BLOCK", 4)
        parts = simulate(
            houses, Fixed(500 * MIB), **COARSE, record=10.0, progress=lambda *at: told.append(at)
        )

    assert same(whole, parts)
    assert told == [(80.0, 120.0), (120.0, 120.0)]
    assert whole.keys == parts.keys
    assert whole.series is not None
    assert parts.series is not None
    for field in fields(Series):
        assert (getattr(whole.series, field.name) == getattr(parts.series, field.name)).all()


def test_a_course_is_checked() -> None:
    with pytest.raises(UsageError, match="substeps"):
        simulate([one(PLAN)], Fixed(), seconds=10.0, substep=2.0)
    with pytest.raises(UsageError, match="no house"):
        simulate([one(PLAN, migrations=(Migration(1.0, "away"),))], Fixed(), seconds=10.0)


@pytest.mark.slow
def test_compiled_comes_to_the_same(house: MakeHouse) -> None:
    plain, compiled = (
        simulate([house()], Aerostat(), **{**COARSE, "compiled": each}) for each in (False, True)
    )

    assert same(plain, compiled)
