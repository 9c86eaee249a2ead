"""A policy that is consulted: how its wishes are understood, and what is kept from everybody."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.policies.base import Decision
from aerostat.engine.policies.guarded import Consulted, Guarded, consult
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.step import step
from aerostat.engine.wishes import Wishes
from aerostat.units import MIB

Make = Callable[..., Any]

NOTHING = np.nan


@dataclass(frozen=True)
class Scripted:
    """Says at each step what stands in its script, in MiB; the memory counts steps."""

    name: ClassVar[str] = "scripted"

    script: list[Any]
    interval: float = 1.0
    asked: list[float] = field(default_factory=list)

    def start(self) -> int:
        return 0

    def step(self, memory: int, now: float, hosts: Hosts, guests: Guests) -> tuple[int, Any]:
        self.asked.append(now)
        said = self.script[min(memory, len(self.script) - 1)]
        if isinstance(said, Exception):
            raise said
        if isinstance(said, Decision) or said is None:
            return memory + 1, said
        return memory + 1, Decision(np.array(said) * float(MIB), lambda row: f"for row {row}")


def told(host: Any, policy: Scripted, steps: int) -> list[Any]:
    """Return what is wished at each second, MiB; guests stay as they are."""
    consulted, wishes = Consulted(), []
    for _ in range(steps):
        advice = consult(policy, consulted, host.now, *host.observe())
        consulted = advice.consulted
        wishes.append(None if advice.wishes is None else advice.wishes.size / MIB)
        host.now += 1.0
    return wishes


def test_a_wish_stands_until_the_guest_has_had_it(world: Make) -> None:
    host = world([512, 512], budget=2000)
    first, second = told(host, Scripted([[256, 300], [NOTHING, NOTHING]]), 2)
    np.testing.assert_array_equal(first, [256, 300])
    np.testing.assert_array_equal(second, [256, 300])

    host.size[0] = 256 * MIB
    policy, consulted = Scripted([[256, 300], [NOTHING, NOTHING]]), Consulted()
    for size in (512, 256, 400):
        host.size[0] = size * MIB
        consulted, wishes, _ = consult(policy, consulted, host.now, *host.observe())
        host.now += 1.0
    assert wishes is not None
    # It had what was wished; then it was given more, and the policy has nothing against that.
    assert (wishes.size == np.array([400, 300]) * MIB).all()


def test_where_nothing_was_ever_asked_a_guest_is_to_stay_as_it_is(world: Make) -> None:
    (wish,) = told(world([512, 256], budget=2000), Scripted([[NOTHING, 200]]), 1)

    np.testing.assert_array_equal(wish, [512, 200])


def test_it_is_asked_at_its_own_interval(world: Make) -> None:
    policy = Scripted([[100], [200], [300]], interval=4.0)
    wishes = told(world([512], budget=2000), policy, 9)

    assert policy.asked == [1000.0, 1004.0, 1008.0]
    assert [None if wish is None else wish[0] for wish in wishes] == [100] * 4 + [200] * 4 + [300]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (ValueError("no\nidea"), "ValueError: no idea"),
        ([1.0, 2.0, 3.0], r"ValueError: \(3,\) sizes for 1 guests"),
        (None, "AttributeError"),
        (Decision(np.array(["much"])), "ValueError: could not convert"),
    ],
)
def test_whatever_goes_wrong_is_counted_and_told(world: Make, said: Any, problem: str) -> None:
    host, policy = world([512], budget=2000), Scripted([[256], said])
    consulted, _, _ = consult(policy, Consulted(), host.now, *host.observe())
    failed = consult(policy, consulted, host.now + 1, *host.observe())

    assert failed.wishes is None
    assert failed.consulted == replace(consulted, failures=1)
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(failed.problem)


def test_it_cannot_change_what_it_is_shown(world: Make) -> None:
    @dataclass(frozen=True)
    class Vandal(Scripted):
        def step(self, memory: int, now: float, hosts: Hosts, guests: Guests) -> tuple[int, Any]:
            guests.guest_size[:] = 0
            return super().step(memory, now, hosts, guests)

    host = world([512], budget=2000)
    advice = consult(Vandal([[256]]), Consulted(), host.now, *host.observe())

    assert advice.problem == "ValueError: assignment destination is read-only"


def test_a_sentence_is_one_line_and_never_an_error(world: Make) -> None:
    def say(row: int) -> str:
        return ["two\nlines\x1b", "x" * 1000][row]

    host = world([512, 512, 512], budget=2000)
    policy = Scripted([Decision(np.full(3, 256.0 * MIB), say)])
    wishes = consult(policy, Consulted(), host.now, *host.observe()).wishes

    assert wishes is not None
    assert wishes.why(0) == "policy scripted: two lines?"
    assert wishes.why(1) == "policy scripted: " + "x" * 300
    assert wishes.why(2) == "policy scripted: it cannot say why (IndexError)"


def test_a_sentence_stays_with_its_guest(world: Make) -> None:
    host = world([512, 512], budget=2000)
    policy = Scripted([[256, 300]], interval=60.0)
    consulted, _, _ = consult(policy, Consulted(), host.now, *host.observe())
    host.keys = tuple(reversed(host.keys))
    wishes = consult(policy, consulted, host.now + 1, *host.observe()).wishes

    assert wishes is not None
    assert (wishes.size == np.array([300, 256]) * MIB).all()
    assert wishes.why(0) == "policy scripted: for row 1"


def wished(host: Any, *sizes: float) -> Any:
    """Return the plan where these sizes are wished, MiB."""
    wishes = Wishes(np.array(sizes) * float(MIB), lambda row: "policy x: so it is")
    hosts, guests = host.observe()
    host.state, plan = step(host.state, host.now, hosts, guests, host.settings, wishes)
    return plan


def test_a_wish_is_not_heard_for_who_feels_it_or_is_silent_or_pinned(world: Make) -> None:
    settings = Settings(mode="density", loose_rate=0.0)
    host = world([512, 512, 512, 512], budget=1500, settings=settings)
    host.run(3)
    host.stalls[1] = 1000.0
    host.silent[2] = True
    host.pinned[3] = 400 * MIB
    host.now += 6.0
    plan = wished(host, 300, 200, 200, 200)

    assert np.isnan(plan.wished).tolist() == [False, True, True, True]
    assert plan.want[0] == 300 * MIB
    assert plan.want[3] == 400 * MIB


def test_a_move_says_whose_it_is(world: Make) -> None:
    host = world([512, 512], budget=600, settings=Settings(loose_rate=0.0))
    host.run(2)
    host.now += 1.0
    size = host.size / MIB
    plan = wished(host, 200, size[1])

    assert plan.explain("guest-0").startswith("gives ")
    assert plan.explain("guest-0").endswith(": policy x: so it is")
    # It was to stay as it is, but the budget does not allow that: this is the safeguards' doing.
    assert plan.target_size[1] < host.size[1]
    assert "policy x" not in plan.explain("guest-1")


def test_without_a_wish_the_engine_decides_as_ever(world: Make) -> None:
    host = world([512, 512], budget=600)
    state, plan = step(State.empty(), host.now, *host.observe())
    again, other = Guarded(Scripted([ValueError()])).step(
        Guarded(Scripted([])).start(), host.now, *host.observe()
    )

    np.testing.assert_array_equal(other.target_size, plan.target_size)
    assert again.consulted.failures == 1
    assert again.state.to_dict() == state.to_dict()
