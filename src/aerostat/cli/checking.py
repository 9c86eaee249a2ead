"""What ``aerostat check device`` and ``aerostat check driver`` share: their options, their report.

Imports click and what is light; what a check needs is imported when one is played.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aerostat.errors import UsageError

if TYPE_CHECKING:
    from aerostat.testing.check.checks import Check, Choice
    from aerostat.testing.check.verdicts import Known, Verdict

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


def choice(only: Sequence[str], skip: Sequence[str]) -> "Choice":
    """Return what is wanted, from options that name one or several each."""
    from aerostat.testing.check.checks import Choice

    return Choice(_split(only), _split(skip))


def known(who: str, reasons: Sequence[str]) -> "Known":
    """Return what is known. Raises `UsageError` for a reason without its statement."""
    from aerostat.testing.check.verdicts import Known

    return Known(who, dict(_reason(text) for text in reasons))


def _split(texts: Sequence[str]) -> list[str]:
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]


def _reason(text: str) -> tuple[str, str]:
    id_, _, reason = text.partition("=")
    if not reason.strip():
        raise UsageError(f"{text!r} is no ID=REASON")
    return id_.strip().upper(), reason.strip()


def progress(place: int, count: int, check: "Check[Any]") -> None:
    """Show which check is played now, where somebody looks at it."""
    if sys.stderr.isatty():
        text = f"{place}/{count} {check.title}"
        click.echo(f"\r\x1b[K{text[:78]}", nl=False, err=True)


def conclude(subject: str, verdicts: Iterator["Verdict"], options: Mapping[str, Any]) -> int:
    """Have the checks played by drawing their verdicts, tell of them, and return the exit code.

    `options` are those of `report_options`.
    """
    import json

    from aerostat.testing.check import report
    from aerostat.testing.check.verdicts import exit_status

    begin = time.monotonic()
    found = list(verdicts)
    seconds = time.monotonic() - begin
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
    if options["junit"] is not None:
        options["junit"].write_text(report.to_junit(subject, found, seconds), encoding="utf-8")
    if options["as_json"]:
        click.echo(json.dumps(report.to_json(subject, found, seconds), indent=2))
        return exit_status(found)
    click.echo(subject)
    for line in report.lines(found, quiet=options["quiet"]):
        click.secho(line.text, fg=line.colour, bold=line.heading)
    click.echo(report.summary(found, seconds))
    return exit_status(found)
