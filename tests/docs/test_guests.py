"""The page on the guest's side: its options are those of the programs, its code is an example's."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aerostat.guest import __main__ as guest
from aerostat.process_guest import options as process_guest

ROOT = Path(__file__).parents[2]
PAGE = "docs/guests.md"


@pytest.fixture
def page(document: Callable[[str], Any]) -> Any:
    return document(PAGE)


def options_of(usage: str) -> set[str]:
    return set(re.findall(r"^  (--[a-z-]+)", usage, re.MULTILINE)) - {"--help"}


@pytest.mark.parametrize(
    ("heading", "usage", "left_out"),
    [
        ("In a real Linux guest", guest.USAGE, set()),
        ("Process guests", process_guest.USAGE, {"--nursery"}),
    ],
)
def test_the_options_are_those_of_the_program(
    page: Any, heading: str, usage: str, left_out: set[str]
) -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)", page.section(heading), re.MULTILINE)

    assert len(rows) == len(set(rows))
    assert set(rows) == options_of(usage) - left_out


def test_the_code_is_the_examples(page: Any) -> None:
    example = (ROOT / "examples" / "drive_device.py").read_text()
    blocks = page.code("python")

    assert blocks
    assert all(block in example for block in blocks)
