"""The simulator's page: its commands and options exist, its tables have what there is."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click import Context

from aerostat.cli import simulating
from aerostat.cli.simulate import command
from aerostat.simulator.report import tables
from aerostat.simulator.report.page import DATA
from aerostat.simulator.report.rows import Part
from aerostat.simulator.workloads import FAMILIES

PAGE = "docs/simulator.md"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def page(document: Callable[[str], Any]) -> Any:
    return document(PAGE)


def shown(page: Any) -> list[list[str]]:
    """Return the words of the command lines that are shown."""
    lines = re.findall(
        r"^\$ aerostat simulate (.*)$", "\n".join(page.code("console")), re.MULTILINE
    )
    return [line.partition(" #")[0].split() for line in lines]


def test_options_that_are_shown_exist(page: Any) -> None:
    there = {name for option in command.params for name in option.opts}

    assert len(shown(page)) >= 5
    assert set(re.findall(r"`?(--[a-z]+)", page.text)) <= there


def test_command_lines_that_are_shown_are_understood(
    page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for words in shown(page):
        # As below `aerostat`: the command keeps the names of its help from the first time.
        above = Context(command, help_option_names=["-h", "--help"])
        with command.make_context("simulate", list(words), parent=above) as context:
            given = dict(context.params)
        if given["scenario"] is None:
            continue
        for unused in ("joined", "jobs", "as_json", "listing", "directory"):
            del given[unused]
        wanted = simulating.wanted(given.pop("scenario"), **given, record=False)

        assert wanted.parts()


def test_the_families_are_those_there_are(page: Any) -> None:
    told = page.table("family")

    assert list(told) == list(FAMILIES)
    for name, (words,) in told.items():
        assert f"{words}.".lower() == FAMILIES[name].words.lower()


def test_what_is_printed_ends_with_what_its_columns_are(page: Any) -> None:
    printed = [" ".join(block.split()) for block in page.code("console")]
    said = [f"{words} {tables.COUNTED}" for words in (tables.DENSE_WORDS, tables.WORDS)]

    assert sum(block.endswith(tuple(said)) for block in printed) == 3


def test_files_and_parts_that_are_named_exist(page: Any) -> None:
    section = page.section("The report")

    assert all(f"`{name}`" in section for name in DATA)
    assert all(f"`{part}`" in section for part in Part)


@pytest.mark.slow
def test_the_study_that_is_shown_runs_on_a_cluster(page: Any, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    (code,) = page.code("python")
    names: dict[str, Any] = {}
    exec(compile(code, PAGE, "exec"), names)
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        names["study"](client, tmp_path)

    assert (tmp_path / "index.html").is_file()
