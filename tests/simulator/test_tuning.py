"""Tuning: which knobs are tried, which are best, and how that is kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aerostat.engine.policies.base import knobs_of
from aerostat.engine.policies.catalogue import POLICIES, find
from aerostat.errors import UsageError
from aerostat.simulator import tuning
from aerostat.simulator.report.rows import Part, Row
from aerostat.simulator.tuning import Trials, Tuned, candidates, main, score, tune, write

FOUND = Tuned("mom", "16", "mom:change=0.1", density=1.25, as_shipped=1.0, tries=16)


def row(part: Part, guests: int, slowdown: float) -> Row:
    figures: dict[str, Any] = {
        name: 0.0 for name in Row.__dataclass_fields__ if name not in {"part", "guests"}
    }
    figures |= {"family": "build", "policy": "mom", "dialect": "16", "seeds": (1,)}
    return replace(Row(part=part, guests=guests, **figures), p99_slowdown=slowdown)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_each_policy_has_as_many_tries_all_within_its_knobs(name: str) -> None:
    policy = POLICIES[name]
    specs = candidates(name, policy, 16)

    assert specs[0] == name
    assert len(specs) == (16 if knobs_of(policy) else 1)
    assert candidates(name, policy, 16) == specs
    for spec in specs[1:]:
        made = find(spec)
        for knob, (low, high, _) in knobs_of(policy).items():
            value = getattr(getattr(made, "settings", made), knob)
            assert 0.99 * low <= value <= 1.01 * high


def test_they_fill_each_range_evenly() -> None:
    low, high, _ = knobs_of(POLICIES["mom"])["host_free"]
    specs = candidates("mom", POLICIES["mom"], 11)
    shares = [(getattr(find(spec), "host_free") - low) / (high - low) for spec in specs[1:]]  # noqa: B009 - a knob

    assert sorted(int(10 * share) for share in shares) == list(range(10))


def test_a_score_is_a_geometric_mean_and_knows_no_zero() -> None:
    found = [
        [row(Part.SEARCH, 30, 0.5), row(Part.DENSITY, 20, 0.01)],
        [row(Part.SEARCH, 5, 0.5)],
    ]

    assert score(found, [10, 10]) == pytest.approx(((2 * 0.05) ** 0.5, -0.505))


def test_what_was_found_is_kept_beside_what_there_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / tuning.TABLE
    write(table, [FOUND, replace(FOUND, dialect="6", run_as="mom")])
    write(table, [replace(FOUND, policy="vm0", run_as="vm0:much=300MiB")])
    monkeypatch.setattr(tuning, "files", lambda _: tmp_path)

    assert tuning.tuned("16") == {"mom": "mom:change=0.1", "vm0": "vm0:much=300MiB"}
    assert tuning.tuned("6") == {"mom": "mom", "vm0": "vm0:much=300MiB"}
    assert tuning.tuned("freebsd") == tuning.tuned() == tuning.tuned("16")


def test_what_is_in_the_table_can_be_run() -> None:
    for dialect in tuning.DIALECTS:
        for name, run_as in tuning.tuned(dialect).items():
            assert find(run_as).name == name


def test_without_a_table_nothing_is_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "files", lambda _: tmp_path)

    assert tuning.tuned("16") == {}


def test_what_cannot_be_tuned_is_said() -> None:
    with pytest.raises(UsageError, match="no policy is called"):
        tune("none", "16", Trials())
    with pytest.raises(UsageError, match="once"):
        tune("mom", "16", Trials(budget=0))


@pytest.mark.slow
def test_the_command_tunes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "tuned.toml"
    words = "--policies static,hyperv --dialects 10 --families steady --budget 4 --seconds 240"
    assert main([*words.split(), "--out", str(table)]) == 0

    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["10", "10"]
    assert '["10".hyperv]' in table.read_text()
    assert main(["--policies", "none", "--out", str(table)]) == 2
    assert "no policy is called" in capsys.readouterr().err
