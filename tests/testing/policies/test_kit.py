"""The kit finds every promise broken that is, and none that is not."""

from collections.abc import Callable
from dataclasses import dataclass
from random import random
from typing import Any, ClassVar

import numpy as np
import pytest

from aerostat.daemon.policies import find
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.policies.base import Decision, Memory, Policy
from aerostat.engine.policies.guarded import Guarded
from aerostat.testing.policies.checking import check_policy, table
from aerostat.testing.policies.promises import PROMISES, Kind
from aerostat.testing.policies.suite import PolicySuite
from aerostat.units import MIB

BY_NAME = {promise.name: promise for promise in PROMISES}

Answer = Callable[[Any, float, Hosts, Guests], Any]


def asking(size: Any) -> Decision:
    """Decide on these sizes; how it is said differs from guest to guest."""
    return Decision(size, lambda row: f"is asked for {size[row]}")


def nothing(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Decision:
    """Ask nothing of anybody."""
    return asking(np.full(len(guests), np.nan))


@dataclass(frozen=True)
class Odd:
    """Does what it is told to."""

    name: ClassVar[str] = "odd"

    answer: Answer = nothing
    interval: float = 1.0

    def start(self) -> list[float]:
        return []

    def step(self, memory: Any, now: float, hosts: Hosts, guests: Guests) -> tuple[Any, Any]:
        return [*memory, now], self.answer(memory, now, hosts, guests)


def idle(guests: Guests) -> Any:
    return guests.statistics[:, 6]


def too_few(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    return asking(guests.max_size[:-1])


def without_a_word(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    return Decision(guests.max_size, lambda row: "")


def by_chance(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    return asking(guests.max_size * random())


def in_place(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    guests.held[:] = 0
    return asking(guests.max_size)


def by_the_sum_of_all(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    return asking(guests.max_size * np.minimum(hosts.budget.sum() / guests.max_size.sum(), 1.0))


def by_the_first(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    return asking(np.full(len(guests), guests.max_size[:1].sum()))


def as_many_as_ever(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    return asking(np.full(8, np.nan)) if memory else nothing(memory, now, hosts, guests)


def idle_is_known(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    assert np.isfinite(guests.statistics).all()
    return nothing(memory, now, hosts, guests)


def all_of_it(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    return asking(guests.guest_size - idle(guests))


def up_to_the_maximum(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    return asking(guests.max_size)


def a_quarter(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    return asking(np.maximum(guests.guarantee, 0.25 * guests.max_size))


def a_little_each_time(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    return asking(np.maximum(guests.guarantee, guests.guest_size - 4 * MIB))


def to_and_fro(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    return asking(guests.max_size * (1.0 if now % 4 < 2 else 0.9))


def all_to_who_has_least(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    share = hosts.budget[guests.host] / 3
    poor = idle(guests) <= 0
    return asking(np.where(poor, guests.max_size, np.where(poor.any(), 0.5 * share, share)))


def without_a_reason(memory: Any, now: float, hosts: Hosts, guests: Guests) -> Any:
    return Decision(a_quarter(memory, now, hosts, guests).target_size, lambda row: "it is so")


@pytest.mark.parametrize(
    ("promise", "answer", "how"),
    [
        ("answers", too_few, r"sizes of shape \(7,\) for 8 guests"),
        ("answers", without_a_word, "'' is no sentence"),
        ("pure", by_chance, "it uses random.random|another answer"),
        ("pure", in_place, "it changes what it is shown"),
        ("hosts apart", by_the_sum_of_all, "alone it decides otherwise"),
        ("order", by_the_first, "in another order it decides otherwise"),
        ("come and go", as_many_as_ever, r"sizes of shape \(8,\) for 7 guests"),
        ("not known", idle_is_known, "AssertionError"),
        ("nonsense", all_of_it, r"guest-\d is asked for"),
        ("guarantee", all_of_it, "is guaranteed"),
        ("guarantee", up_to_the_maximum, "above its ceiling"),
        ("gives at once", nothing, "760 MiB is due"),
        ("takes slowly", a_quarter, "75% of a guest's maximum"),
        ("stops at harm", a_little_each_time, "guest-1 suffers, and gives 4 MiB"),
        ("fair claims", all_to_who_has_least, "beside a liar an honest guest has less"),
        ("in the dark", a_little_each_time, "guest-0 is silent, and gives 4 MiB"),
        ("on need", a_quarter, "that nobody needs"),
        ("nothing twice", up_to_the_maximum, "more than the budget"),
        ("no gain", a_little_each_time, "without gain another"),
        ("rests", to_and_fro, "of a steady guest|a steady guest is sent"),
        ("explains", without_a_reason, "all are explained by 'it is so'"),
    ],
)
def test_what_is_broken_is_found(promise: str, answer: Answer, how: str) -> None:
    (verdict,) = check_policy(Odd(answer), promises=[BY_NAME[promise]]).verdicts

    assert not verdict.kept
    with pytest.raises(AssertionError, match=how):
        raise AssertionError(verdict.how)


def test_every_promise_is_broken_here_by_somebody() -> None:
    marks = test_what_is_broken_is_found.pytestmark  # type: ignore[attr-defined]
    (cases,) = (mark.args[1] for mark in marks)

    assert {name for name, *_ in cases} == set(BY_NAME)


def test_what_is_found_is_a_table_and_how_it_was_found() -> None:
    report = check_policy(Odd(), "still", [BY_NAME["gives at once"], BY_NAME["on need"]])

    assert report.broken() == report.broken(Kind.SAFETY) == report.verdicts[:1]
    lines = table([report, report]).splitlines()
    assert lines[0].split() == ["promise", "kind", "no.", "still", "still"]
    assert lines[4] == "still:"
    assert lines[-1].startswith("  gives at once: it has 320 MiB after 3 s")


class TestStill(PolicySuite):
    """The suite, as the tests of a policy inherit it: one that asks nothing."""

    policy = Odd()
    excused = ("gives at once",)


def test_an_excuse_that_is_not_needed_has_to_go() -> None:
    class Excused(PolicySuite):
        policy = Odd()
        excused = ("on need",)

    with pytest.raises(AssertionError, match="on need is kept: it needs no excuse"):
        Excused().test_a_promise_is_kept(BY_NAME["on need"])


@dataclass(frozen=True)
class Wild:
    """Asks for anything, and now and then breaks."""

    name: ClassVar[str] = "wild"

    interval: float = 1.0

    def start(self) -> Memory:
        return Memory.blank()

    def step(
        self, memory: Memory, now: float, hosts: Hosts, guests: Guests
    ) -> tuple[Memory, Decision]:
        turns = memory.aligned(guests.keys, turn=0.0)["turn"]
        if int(now) % 7 == 3:
            raise RuntimeError("wild")
        said = np.array([0.0, np.inf, 1e300, np.nan, -1.0, 2.0**40, 100 * MIB, 700 * MIB])
        size = said[((turns * 5 + guests.max_size / MIB) % len(said)).astype(int)]
        return Memory(guests.keys, {"turn": turns + 1}), asking(size)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["senpai", "esxi", "proxmox", "mom"])
def test_under_safeguards_the_promises_of_safety_are_kept(name: str) -> None:
    raw, guarded = find(name), find(f"guarded:{name}")

    assert check_policy(raw).broken(Kind.SAFETY)
    assert check_policy(guarded).broken(Kind.CONTRACT, Kind.SAFETY) == ()


@pytest.mark.slow
def test_under_safeguards_even_the_wild_are_safe() -> None:
    assert check_policy(Guarded(Wild())).broken(Kind.CONTRACT, Kind.SAFETY) == ()


@pytest.mark.slow
def test_ours_keeps_every_promise() -> None:
    assert check_policy(find("aerostat")).broken() == ()


@pytest.mark.slow
def test_in_the_simulator_hosts_keep_to_their_budgets_or_it_is_found() -> None:
    from aerostat.testing.policies.simulated import SIMULATED

    def broken(policy: Policy) -> tuple[str, ...]:
        return tuple(one.how for one in check_policy(policy, promises=[SIMULATED]).broken())

    assert broken(find("aerostat")) == broken(find("guarded:senpai")) == ()
    (how,) = broken(Odd())
    assert "the host kills" in how
