"""The summary, for people and for programs."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from aerostat.demo import summary
from aerostat.demo.outcome import GuestOutcome, Outcome


def drawn(*outcomes: Outcome, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(summary.render(outcomes))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_json_has_what_programs_rely_on(outcome: Outcome) -> None:
    figures = json.loads(json.dumps(summary.to_json([outcome], seed=3)))
    assert figures["schema"] == 1
    assert figures["seed"] == 3
    assert figures["guests"] == 2
    assert figures["budget_bytes"] == outcome.budget
    assert figures["taken_bytes"] == outcome.taken
    assert figures["given_bytes"] == outcome.given
    assert figures["peak_held_bytes"] == outcome.peak_held
    assert figures["moves"] == 12
    assert figures["oom_kills"] == 0
    assert figures["guest_deaths"] == 0
    assert figures["compare"] is None
    assert [row["name"] for row in figures["rows"]] == ["batch", "batch"]


def test_json_has_the_comparisons_by_name(outcome: Outcome) -> None:
    other = replace(outcome, name="full_sizes", taken=0)
    figures = summary.to_json([outcome, other], seed=3)
    assert figures["taken_bytes"] == outcome.taken
    assert figures["compare"]["full_sizes"]["taken_bytes"] == 0


def test_a_good_end(outcome: Outcome) -> None:
    text = drawn(outcome)
    assert "✓ aerostat: the guests held 400 MiB at most, 112 MiB less than the budget" in text
    assert "nobody came to harm" in text


def test_more_than_the_budget_is_no_good_end(outcome: Outcome) -> None:
    text = drawn(replace(outcome, peak_held=outcome.budget * 2))
    assert "✗ aerostat: the guests held 1.0 GiB at most, 512 MiB more than the budget" in text


def test_the_dead_are_named(outcome: Outcome, row: GuestOutcome) -> None:
    died = replace(row, name="leaky", oom_kills=None, died="was killed by SIGKILL")
    text = drawn(replace(outcome, rows=(row, died)))
    assert "1 guest died" in text
    assert "leaky was killed by SIGKILL" in text


def test_who_could_not_be_asked_is_not_said_to_be_well(outcome: Outcome, row: GuestOutcome) -> None:
    text = drawn(replace(outcome, rows=(row, replace(row, oom_kills=None))), width=140)
    assert "nobody came to harm" not in text
    assert "1 guest could not be asked" in text


@pytest.mark.parametrize("width", [80, 100, 140])
def test_trials_stand_side_by_side(outcome: Outcome, width: int) -> None:
    text = drawn(outcome, replace(outcome, title="full sizes", moves=0), width=width)
    (line,) = (line for line in text.splitlines() if "moves of balloons" in line)
    assert line.split()[-2:] == ["12", "0"]
    assert all(len(line) <= width for line in text.splitlines())
