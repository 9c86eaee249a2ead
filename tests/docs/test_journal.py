"""What the journal's document says of its tables, options and limits is so."""

import inspect
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from aerostat.cli import explain, history, replay
from aerostat.daemon.journal.schema import OF_GUESTS, OF_HOSTS, prepare
from aerostat.daemon.journal.writer import Journal
from aerostat.replay.comparison import NOT_KNOWN
from aerostat.replay.policies import MODES
from aerostat.units import GIB


@pytest.fixture
def told(document: Callable[[str], Any]) -> Any:
    return document("docs/journal.md")


def test_the_tables_are_those_of_the_file(told: Any, tmp_path: Path) -> None:
    file = sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)
    prepare(file, tmp_path)
    there = {row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    file.close()
    named = {name for cell in told.table("table") for name in re.findall(r"\w+", cell)}
    assert named == there


def test_the_figures_are_those_of_rolled_up_rows(told: Any) -> None:
    names = set(re.findall(r"`(\w+)`", told.section("The file")))
    assert {*OF_GUESTS.levels, *OF_GUESTS.growths, *OF_HOSTS.levels} <= names


def test_the_limits_are_the_defaults(told: Any) -> None:
    defaults = inspect.signature(Journal).parameters
    rows = told.table("what")
    said = {setting.strip("`"): length for length, setting in rows.values() if setting}
    assert said["journal.keep_hours"] == f"{defaults['keep_hours'].default:g} hours"
    assert said["journal.keep_days"] == f"{defaults['keep_days'].default:g} days"
    assert said["journal.keep_size"] == f"within {defaults['keep_size'].default // GIB} GiB"


def test_options_that_are_named_exist(told: Any) -> None:
    commands: tuple[click.Command, ...] = (explain.command, history.command, replay.command)
    there = {name for command in commands for option in command.params for name in option.opts}
    named = set(re.findall(r"`?(--[a-z]+)", told.text))
    assert named <= there
    assert all(f"`{name}`" in told.text or f"--policy {name}" in told.text for name in MODES)
    assert NOT_KNOWN in told.text
