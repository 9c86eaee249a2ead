"""The state machine of conditions: its table, and what it makes of guests."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aerostat.engine.conditions import (
    SIGNS,
    TRANSITIONS,
    VERDICTS,
    Condition,
    Sign,
    diagram,
    follow,
)
from aerostat.engine.observation import BoolArray
from aerostat.units import MIB

Make = Callable[..., Any]
Seen = dict[Sign, BoolArray]


def test_every_pair_has_a_decision() -> None:
    assert TRANSITIONS.shape == (len(Condition), len(Sign))
    assert {Condition(int(value)) for value in TRANSITIONS.flat} == set(Condition)


def test_every_condition_is_reached_from_every_other() -> None:
    for start in Condition:
        reached = {start}
        for _ in Condition:
            reached |= {Condition(int(value)) for state in reached for value in TRANSITIONS[state]}
        assert reached == set(Condition)


def test_an_answer_makes_fresh_at_once() -> None:
    assert (TRANSITIONS[:, Sign.ANSWERS] == Condition.FRESH).all()


def test_waiting_changes_nothing_and_only_verdicts_have_a_term() -> None:
    assert TRANSITIONS[:, Sign.WAITS].tolist() == list(Condition)
    assert set(VERDICTS) == {Condition.STUCK, Condition.USELESS}


@pytest.mark.parametrize("first", Sign)
def test_the_first_sign_counts(first: Sign) -> None:
    seen: Seen = {sign: np.array([sign >= first]) for sign in Sign if sign is not Sign.ANSWERS}
    for before in Condition:
        after, since = follow(np.array([float(before)]), np.array([5.0]), 9.0, seen)
        assert after[0] == TRANSITIONS[before, first]
        assert since[0] == (5.0 if after[0] == before else 9.0)


def test_what_is_no_condition_counts_as_silent() -> None:
    seen: Seen = {sign: np.zeros(4, dtype=bool) for sign in Sign if sign is not Sign.ANSWERS}
    seen[Sign.WAITS][:] = True
    after, since = follow(np.array([np.nan, -1.0, 99.0, 2.0]), np.full(4, np.nan), 9.0, seen)

    assert (after == Condition.SILENT).all()
    assert (since == 9.0).all()


def test_the_diagram_is_of_the_table() -> None:
    text = diagram()

    assert text.startswith("flowchart")
    for condition in Condition:
        assert f"--> {condition.name.lower()}\n" in text
    for words in SIGNS.values():
        assert f'"{words}"' in text
    assert 'useless -- "it was asked to shrink, and its balloon does not move" --> useless' in text


def test_the_conditions_of_a_guest_follow_what_it_does(world: Make) -> None:
    host = world([512, 512], budget=600)
    host.run(1)
    seen = []

    def see(seconds: int) -> None:
        plan = host.run(seconds)
        age = host.now - 1.0 - plan.condition_since[0]
        seen.append((Condition(int(plan.condition[0])), age))

    host.silent[0] = True
    see(7)
    see(30)
    host.silent[0] = False
    see(1)
    host.lies[0] = np.full(16, -1.0)
    see(1)
    del host.lies[0]
    host.pace[0] = 2 * MIB
    host.budget[0] = 400 * MIB
    see(3)
    host.managed[0] = False
    see(2)

    names = [condition for condition, _ in seen]
    assert names == [
        Condition.STALE,
        Condition.SILENT,
        Condition.FRESH,
        Condition.IMPLAUSIBLE,
        Condition.DRAINING,
        Condition.EXEMPT,
    ]
    assert seen[1][1] > 5.0
    assert seen[2][1] == seen[3][1] == 0.0
    assert seen[5][1] == 1.0


def test_a_stuck_balloon_that_moves_is_no_longer_stuck(world: Make) -> None:
    host = world([512, 512], budget=600)
    host.stuck[0] = True
    plan = host.run(14)
    assert plan.condition[0] == Condition.STUCK
    host.size[0] -= 8 * MIB
    plan = host.run(1)

    assert plan.condition[0] == Condition.FRESH


def test_a_useless_balloon_from_which_the_host_gains_after_all_is_used_again(world: Make) -> None:
    host = world([1024, 1024], budget=900)
    host.use[1] = 800 * MIB
    host.locked[0] = True
    plan = host.run(40)
    assert plan.condition[0] == Condition.USELESS
    host.locked[0] = False
    plan = host.run(2)

    assert plan.condition[0] == Condition.FRESH
