"""The simulate command: its options, what it refuses, what it prints; nothing is simulated."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

from aerostat.cli import simulating
from aerostat.engine.policies.catalogue import POLICIES
from aerostat.errors import UsageError
from aerostat.model.dialects import Dialect
from aerostat.simulator import studies
from aerostat.simulator.report.rows import Part, Row, Study
from aerostat.simulator.studies import Wanted
from aerostat.simulator.workloads import FAMILIES
from aerostat.units import GIB

Call = Callable[..., tuple[int, str, str]]
HOLDS = {"aerostat": 20, "mom": 12, "static": 10}


def row(family: str, policy: str, part: Part, guests: int) -> Row:
    counts = dict.fromkeys(("major_faults", "alloc_stalls", "block_reads", "moves"), 40.0)
    counts |= dict.fromkeys(("oom_kills", "host_oom_kills"), 0.0)
    return Row(
        part, family, policy, "16", guests, (1, 2), 1200.0, 0.0, 0.05, 16.0 * GIB,
        guest_hours=4.0, p99_slowdown=0.018, mean_slowdown=0.04 / HOLDS[policy],
        mean_size=15.0 * GIB, mean_held=12.0 * GIB, **counts,
    )  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Wanted]:
    """Have nothing simulated; return what is asked for."""
    wanted: list[Wanted] = []

    def run(what: Wanted, executor: Executor, progress: Callable[..., None]) -> Study:
        wanted.append(what)
        progress(1, 1, "build, mom")
        families = list(FAMILIES)[:2] if what.scenario == "all" else [what.scenario]
        rows = [
            row(family, policy, part, HOLDS[policy] if part is Part.DENSITY else 12)
            for family in families
            for policy in HOLDS
            for part in (Part.DENSITY, Part.EQUAL)
        ]
        return Study(what.command, "1.0", what.scenario, tuple(rows), notes=("A note.",))

    monkeypatch.setattr(studies, "run", run)
    return wanted


def test_without_options_ours_is_compared_with_fixed_sizes(asked: list[Wanted], call: Call) -> None:
    code, out, err = call("simulate", "build", "--jobs", "1")

    assert (code, err) == (0, "")
    assert asked[0].policies == ("aerostat", "static")
    assert (asked[0].seeds, asked[0].dialects, asked[0].guests) == ((1, 2, 3, 4), ("16",), None)
    title, titles, *lines = out.splitlines()
    assert title == "build, 16 tags: harm among 12 guests, the density of mom"
    assert titles.split() == [
        "POLICY", "GUESTS", "OF", "STATIC", "P99", "HARM", "KILLS", "FAULTS/H", "READ/H",
        "MOVES/H", "HELD",
    ]  # fmt: skip
    assert lines[0].split() == ["aerostat", "20", "2.00x", "1.8", "%", "0.2", "%", "0",
        "10", "10", "B", "10", "12.0", "GiB",
    ]  # fmt: skip
    assert lines[-1] == "A note."


def test_of_several_families_there_is_a_mean(asked: list[Wanted], call: Call) -> None:
    code, out, _ = call("simulate", "all", "--jobs", "1")

    assert code == 0
    assert "all families, 16 tags" in out
    assert out.count("guests: the most of which") == 1
    assert "1.67 guests for each of the best rival's, mom" in " ".join(out.split())


def test_json_has_all_rows(asked: list[Wanted], call: Call) -> None:
    code, out, _ = call("simulate", "all", "--json", "--jobs", "1")
    values = json.loads(out)

    assert code == 0
    assert (values["schema"], len(values["rows"])) == (1, 12)
    assert values["rows"][0]["part"] == "density"
    assert values["means"]["16"][0]["ratio"] == pytest.approx(2)


def test_a_report_is_written_and_joined_again(
    asked: list[Wanted], call: Call, tmp_path: Path
) -> None:
    code, out, _ = call("simulate", "build", "--jobs", "1", "--report", tmp_path / "out")
    again = call("simulate", "--join", tmp_path / "out", "--json")

    assert (code, asked[0].record) == (0, True)
    assert out.splitlines()[-1] == f"written: {tmp_path / 'out' / 'index.html'}"
    assert again[0] == 0
    assert len(json.loads(again[1])["rows"]) == 6


def test_options_are_understood(asked: list[Wanted], call: Call) -> None:
    code, _, err = call(
        "simulate", "leak", "--policy", "mom:host_free=0.3,interval=5,static", "--policy", "vdsm",
        "--seeds", "101-103,7", "--dialect", "16,6", "--guests", "24", "--seconds", "300",
        "--loss", "0.5,0", "--delay", "9,1", "--shard", "2/3", "--jobs", "1", "--tuned",
    )  # fmt: skip
    wanted = asked[0]

    assert (code, err) == (0, "")
    assert wanted.policies == ("mom:host_free=0.3,interval=5", "static", "vdsm")
    assert wanted.seeds == (101, 102, 103, 7)
    assert wanted.tuned
    assert (wanted.dialects, wanted.guests, wanted.seconds) == (("16", "6"), 24, 300.0)
    assert (wanted.losses, wanted.delays, wanted.shard) == ((0.0, 0.5), (1.0, 9.0), (2, 3))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say what to simulate"),
        (("biuld",), "did you mean build"),
        (("build", "--policy", "mum"), "did you mean mom"),
        (("build", "--policy", "mom:x=1"), "no knob"),
        (("build", "--seeds", "4-1"), "write them as 1-4"),
        (("build", "--seeds", "1-9999999"), "write them as 1-4"),
        (("build", "--guests", "0"), "neither auto nor"),
        (("build", "--loss", "1.1"), "numbers from 0 to 1"),
        (("build", "--delay", "x"), "numbers from 0"),
        (("build", "--shard", "4/3"), "write it as 2/8"),
        (("build", "--seconds", "20"), "180<=x"),
        (("build", "--join", "."), "say what to simulate"),
        (("build", "--dialect", "16,7"), "no dialect is called '7'; there are: 16, 10, 6"),
    ],
)
def test_what_makes_no_sense_is_refused(
    asked: list[Wanted], call: Call, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = call("simulate", *arguments)

    assert (code, out, asked) == (2, "", [])
    assert said in err
    assert err.count("\n") == 1


def test_the_list_has_all_there_is(call: Call) -> None:
    code, out, _ = call("simulate", "--list")
    values: Mapping[str, Any] = json.loads(call("simulate", "--list", "--json")[1])

    assert code == 0
    assert set(values["families"]) == set(FAMILIES)
    assert set(values["policies"]) >= set(POLICIES)
    assert list(values["dialects"]) == [dialect.value for dialect in Dialect]
    assert all(f"  {name} " in out for name in [*FAMILIES, *POLICIES])


def test_all_policies_are_those_of_the_list() -> None:
    assert set(simulating.policy_names(["all"])) >= set(POLICIES)


def test_a_comma_parts_policies_and_knobs() -> None:
    names = simulating.policy_names(["mom:host_free=0.3, interval=5,static,mom", "static"])

    assert names == ("mom:host_free=0.3,interval=5", "static", "mom")


@pytest.mark.slow
def test_an_interrupted_study_ends_its_processes() -> None:
    def begin() -> None:
        with simulating.executor(2) as doers:
            kept.append(doers)
            assert doers.submit(int, "7").result(60) == 7
            raise UsageError("enough")

    kept: list[Executor] = []
    with pytest.raises(UsageError):
        begin()
    with pytest.raises(RuntimeError):
        kept[0].submit(int, "7")
