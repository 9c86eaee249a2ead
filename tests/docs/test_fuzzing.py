"""The page on fuzzing: its table has every target, and what it says of the limits holds."""

import re
from collections.abc import Callable
from typing import Any

from aerostat.testing.fuzz.__main__ import parser
from aerostat.testing.fuzz.oracle import PATIENCE, TICK
from aerostat.testing.fuzz.registry import NAMES

PAGE = "docs/fuzzing.md"


def test_every_target_is_in_the_table(document: Callable[[str], Any]) -> None:
    table = document(PAGE).section("The targets")
    rows = re.findall(r"^\| ((?:`[a-z-]+` ?)+)\|", table, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([a-z-]+)`", row)]

    assert sorted(named) == sorted(NAMES)


def test_the_limits_are_those_of_the_oracle(document: Callable[[str], Any]) -> None:
    assert (PATIENCE * TICK, 3 * PATIENCE * TICK) == (10.0, 30.0)
    assert "ten seconds of processor time, or wait for thirty" in document(PAGE).text


def test_the_commands_that_are_shown_can_be_given(document: Callable[[str], Any]) -> None:
    shown = re.findall(r"^\$ python -m aerostat.testing.fuzz (.*?) *(?:#.*)?$",
                       document(PAGE).text, re.MULTILINE)  # fmt: skip

    assert len(shown) == 4
    for arguments in shown:
        parser().parse_args(arguments.split())
