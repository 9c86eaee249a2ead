"""Pairs in turns, medians, goals, and the CPU clock of another process."""

import json
import os
import time
from collections.abc import Iterator
from functools import partial

import pytest
from bench.harness import Figure, Goal, cpu_of, in_turns, judge, main

from aerostat.errors import MissingError


def test_both_are_measured_in_turns_and_the_first_pair_is_thrown_away() -> None:
    order = []

    def measure(who: str) -> float:
        order.append(who)
        return float(len(order))

    pairs = in_turns(lambda: measure("ours"), lambda: measure("rival"), repeats=3)
    assert order == ["rival", "ours", "ours", "rival", "rival", "ours", "ours", "rival"]
    assert pairs == [(3, 4), (6, 5), (7, 8)]


def test_of_three_too_the_first_of_one_turn_is_the_last_of_the_next() -> None:
    order: list[str] = []

    def measure(who: str) -> str:
        order.append(who)
        return who

    turns = in_turns(*(partial(measure, who) for who in "abc"), repeats=2)
    assert "".join(order) == "cbaabccba"
    assert turns == [("a", "b", "c")] * 2


def test_the_ratio_is_the_median_of_the_pairs_and_not_of_the_medians() -> None:
    figure = judge("bench", "s", "rival", [(1, 1), (2, 8), (9, 3)], Goal("ratio", "<=", 1.0))
    assert (figure.ours, figure.rival, figure.ratio) == (2, 3, 1)
    assert figure.met
    assert figure.goal == "ratio <= 1"


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("ours", "<=", 4), True),
        (Goal("ours", "<=", 3.9), False),
        (Goal("ours", ">=", 4), True),
        (Goal("ours", ">=", 4.1), False),
        (Goal("ratio", "<=", 2), True),
        (Goal("ratio", "<=", 1.9), False),
        (Goal("excess", "<=", 2), True),
        (Goal("excess", "<=", 1.9), False),
    ],
)
def test_a_goal_is_met_at_its_bound(goal: Goal, *, met: bool) -> None:
    assert goal.met(4.0, 2.0, 2.0) is met


def test_every_goal_has_to_be_met() -> None:
    goals = Goal("ours", "<=", 8), Goal("ratio", "<=", 0.5)
    assert not judge("bench", "s", "rival", [(4, 4)], *goals).met
    assert judge("bench", "s", "rival", [(2, 4)], *goals).met


def test_what_is_missing_is_printed_in_place_of_figures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def bench(*, quick: bool) -> Iterator[Figure]:
        yield judge("bench", "s", "rival", [(1, 1)])
        raise MissingError(f"no wheel, quick or not: {quick}")

    monkeypatch.setattr("sys.argv", ["bench", "--quick"])
    main(bench)
    assert json.loads(capsys.readouterr().out) == {"skipped": "no wheel, quick or not: True"}


def test_the_cpu_of_a_process_is_read_from_its_own_clock() -> None:
    before = time.process_time()
    found = cpu_of(os.getpid())
    assert before <= found <= time.process_time()


def test_the_cpu_of_a_process_that_is_not_there() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        cpu_of(2**22 + 1)  # above the largest process number that Linux gives
