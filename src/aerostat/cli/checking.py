"""What ``aerostat check device`` and ``aerostat check driver`` share: their options, their report.

Imports click and what is light; what a check needs is imported when one is played.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from aerostat.testing.check.checks import Check
    from aerostat.testing.check.report import Line
    from aerostat.testing.check.verdicts import Verdict

_Function = TypeVar("_Function", bound=Callable[..., Any])

_WORDS = "ID[,ID...]"


def report_options(function: _Function) -> _Function:
    """Add the options that say what is checked, what is known, and how it is told."""
    for option in reversed(_REPORT_OPTIONS):
        function = option(function)
    return function


_REPORT_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--only",
        metavar=_WORDS,
        multiple=True,
        help="Only these statements or checks; DEV-STATS is all that begin so.",
    ),
    click.option("--skip", metavar=_WORDS, multiple=True, help="All but these."),
    click.option(
        "--as",
        "who",
        metavar="NAME",
        default="",
        help="Who it is, such as 'Cloud Hypervisor': what is known of it is no violation.",
    ),
    click.option(
        "--known",
        metavar="ID=REASON",
        multiple=True,
        help="A deviation that is known to you, and why; no violation.",
    ),
    click.option("--quiet", "-q", is_flag=True, help="Print only what is not kept."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    click.option(
        "--junit",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write a JUnit report, too.",
    ),
)


def progress(place: int, count: int, check: "Check[Any]") -> None:
    """Show which check is played now, where somebody looks at it."""
    if sys.stderr.isatty():
        text = f"{place}/{count} {check.title}"
        click.echo(f"\r\x1b[K{text[:78]}", nl=False, err=True)


def conclude(subject: str, verdicts: Iterator["Verdict"], options: Mapping[str, Any]) -> int:
    """Have the checks played by drawing their verdicts, tell of them, and return the exit code.

    `options` are those of `report_options`.
    """
    from aerostat.testing.check import telling

    wishes = telling.Wishes(**{name: options[name] for name in telling.Wishes._fields})
    return telling.conclude(subject, _and_clear(verdicts), wishes, _say)


def _and_clear(verdicts: Iterator["Verdict"]) -> Iterator["Verdict"]:
    """Yield the verdicts, and then take away what `progress` has shown."""
    yield from verdicts
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)


def _say(line: "Line") -> None:
    click.secho(line.text, fg=line.colour, bold=line.heading)
