"""The page on `aerostat check`: its commands can be given, its figures are those of the kit."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from aerostat.cli.check import command
from aerostat.testing.check.checks import Registry
from aerostat.testing.check.device.all_checks import CHECKS
from aerostat.testing.check.device.faults.serving import ROOMS
from aerostat.testing.check.device.faults.terms import FAULTS
from aerostat.testing.check.report import WORDS

ROOT = Path(__file__).parents[2]
PAGE = "docs/check.md"
EXAMPLES = [*(ROOT / "examples" / "check").iterdir()]


def command_lines(text: str) -> list[list[str]]:
    """Return the arguments of each `aerostat check` in a text, continued lines as one."""
    joined = re.sub(r"\\\n|\n\s+-- ", lambda match: match[0].strip("\\\n") + " ", text)
    found = re.findall(r"(?:^|\s|/)aerostat check ((?:device|driver|--)[^\n#]*)", joined)
    return [shlex.split(line.replace('"$@"', "./device").rstrip("`")) for line in found]


def parse(arguments: list[str]) -> None:
    """Parse arguments as the command would; raises `click.UsageError`."""
    # As below `aerostat`: a command keeps the names of its help from the first time.
    with click.Context(command, info_name="check", help_option_names=["-h", "--help"]) as context:
        name, sub, rest = command.resolve_command(context, arguments)
        assert sub is not None
        sub.make_context(name, rest, parent=context)


@pytest.mark.parametrize("path", [ROOT / PAGE, *EXAMPLES], ids=lambda path: path.name)
def test_every_command_can_be_given(path: Path) -> None:
    lines = command_lines(path.read_text(encoding="utf-8"))

    assert lines
    for arguments in lines:
        if not arguments[0].startswith("-"):
            parse(arguments)


def test_what_it_says_of_words_and_figures_is_so(document: Callable[[str], Any]) -> None:
    page = document(PAGE)
    bad = sum(check.name.startswith("bad-") for check in CHECKS.checks)

    assert set(page.table("word")) == set(WORDS.values())
    assert f"{bad} requests, lists and messages" in page.text
    assert ROOMS
    assert f"{len(FAULTS)} of them" in page.text


def test_the_check_that_is_shown_is_one(document: Callable[[str], Any]) -> None:
    registry: Registry[Any] = Registry(CHECKS.side)
    (shown,) = document(PAGE).code("python")
    names: dict[str, Any] = {"CHECKS": registry, "Machine": object, "Judge": object}
    exec(shown, names)

    (check,) = registry.checks
    assert check.how == "Send a request of one page; its buffer must come back."
