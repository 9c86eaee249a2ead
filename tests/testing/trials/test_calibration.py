"""The calibration's reckoning, exercises and page, and the model's side of it, without a guest."""

import json
from pathlib import Path

import pytest

from aerostat.errors import UsageError
from aerostat.model.plans import HOLD, READ_RATE, Plans
from aerostat.testing.trials.calibration import agreement, modelled, report, runs
from aerostat.testing.trials.calibration.__main__ import compare, main
from aerostat.testing.trials.calibration.agreement import Pair
from aerostat.testing.trials.calibration.counts import FLOORS, Counts
from aerostat.testing.trials.calibration.exercises import EXERCISES, SHORT, SIZE, Exercise
from aerostat.testing.trials.calibration.runs import Run
from aerostat.units import MIB

KNOWN = {exercise.name: exercise for exercise in EXERCISES}


def pair(name: str, real: float, modelled: float) -> Pair:
    return Pair("loop", name, real, real, real, modelled)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_the_model_is_asked_for_what_guests_are(exercise: Exercise) -> None:
    plans = Plans.of([modelled.plan(exercise)])

    for tenth in range(1, round(exercise.seconds * 10)):
        wanted = exercise.workload.wanted(tenth / 10)
        (found,) = plans.wanted(modelled.SETTLED + tenth / 10)
        assert found[HOLD] == modelled.PLAYER + wanted.hold
        assert found[READ_RATE] == wanted.read_rate


def test_a_file_that_fits_is_read_from_the_disk_once() -> None:
    values = modelled.play(KNOWN["cache"]).values

    assert values["disk_reads"] == pytest.approx(128 * MIB)
    assert values["caches_at_end"] == pytest.approx(128 * MIB + modelled.MAPPED)
    assert values["refaults"] == values["scans"] == values["balloon_at_most"] == 0


def test_what_is_asked_of_the_balloon_is_asked_when_it_is_time() -> None:
    counts = modelled.play(KNOWN["deflate"])

    assert values_at(counts, 1.9) == 0
    assert values_at(counts, 5.9) == counts.values["balloon_at_most"] == SIZE - 112 * MIB
    assert counts.values["balloon_at_end"] == 0


def values_at(counts: Counts, second: float) -> float:
    return [size for at, size in counts.balloon if at <= second][-1]


def test_programs_that_were_killed_end_an_exercise() -> None:
    counts = modelled.play(KNOWN["burst"])

    assert counts.values["oom_kills"] == 1
    assert counts.balloon[-1][0] < KNOWN["burst"].seconds - 1


def test_the_model_agrees_with_itself() -> None:
    exercise = KNOWN["inflate-free"]
    made = [Run(exercise.name, "6.1", modelled.play(exercise))]

    total = agreement.summary(compare([exercise], made))

    assert total.pairs > 0
    assert total.median == total.within_a_quarter == 1


def test_small_counts_are_no_disagreement_and_others_are_held_against_the_least() -> None:
    floor = FLOORS["alloc_stalls"]
    assert not pair("alloc_stalls", 0, floor).says_something
    assert pair("alloc_stalls", 0, 3 * floor).factor == 3
    assert pair("alloc_stalls", 4 * floor, 0).factor == 4
    assert pair("alloc_stalls", 4 * floor, 0).ratio == 0.25
    assert pair("oom_kills", 1, 0).factor >= 10


def test_a_summary_names_the_worst() -> None:
    far, near = pair("refaults", 80 * MIB, 8 * MIB), pair("refaults", 80 * MIB, 100 * MIB)

    total = agreement.summary([near, pair("oom_kills", 0, 0), far])

    assert total.pairs == 2
    assert total.worst == far
    assert total.within_a_quarter == total.within_two == 0.5
    assert total.median == pytest.approx((10 + 1.25) / 2)
    assert agreement.summary([]).worst is None


def test_runs_are_kept_and_read_back(tmp_path: Path) -> None:
    made = [Run("loop", "6.1", Counts({"read": 1.0}, [(0.5, 4096.0)]))]
    path = tmp_path / "deep" / "runs.jsonl"

    runs.keep(made, path)

    assert runs.kept(path) == made


@pytest.mark.parametrize("line", ["", "{", "[1]", '["loop", "6.1", {}, [1]]', '["a", "b", 3, []]'])
def test_what_is_no_run_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(f'["loop", "6.1", {{}}, []]\n{line}\n')

    with pytest.raises(UsageError, match="line 2"):
        runs.kept(path)


def test_the_page_and_the_figures_say_how_far_apart_counts_are(tmp_path: Path) -> None:
    exercise = KNOWN["inflate-free"]
    counts = modelled.play(exercise)
    counts.values["minor_faults"] *= 2
    made = [Run(exercise.name, "6.1.176", counts)]

    page = report.write(compare([exercise], made), made, tmp_path).read_text()
    figures = json.loads((tmp_path / "calibration.json").read_text())

    assert "6.1.176" in page
    assert exercise.words in page
    assert "| 0.50 |" in page
    assert figures["summary"]["worst"]["name"] == "minor_faults"
    assert figures["exercises"]["inflate-free"]["minor_faults"]["ratio"] == 0.5
    assert figures["exercises"]["inflate-free"]["oom_kills"]["ratio"] is None


def test_kept_runs_are_compared_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [Run(name, "6.1", modelled.play(KNOWN[name])) for name in SHORT]
    runs.keep(made, tmp_path / "runs.jsonl")

    assert main(["--again", "--short", "--output", str(tmp_path)]) == 0
    assert "within a factor of 1.00" in capsys.readouterr().out


def test_what_is_not_known_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--exercises", "nothing", "--output", str(tmp_path)]) == 1
    assert "inflate-free" in capsys.readouterr().err
    assert main(["--again", "--output", str(tmp_path)]) == 1
    assert "no runs are kept" in capsys.readouterr().err
