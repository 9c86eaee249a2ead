"""What every command line of the kit shares: what is wanted of it, and what is told in the end.

Touches the clock, and the JUnit file. Standard library only: one of them runs inside guests.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from aerostat.errors import UsageError
from aerostat.testing.check import report
from aerostat.testing.check.checks import Choice
from aerostat.testing.check.report import Line
from aerostat.testing.check.verdicts import Known, Verdict, exit_status


class Wishes(NamedTuple):
    """How verdicts are to be told: only what is not kept, as JSON, in a JUnit file, too."""

    quiet: bool = False
    as_json: bool = False
    junit: Path | None = None


def choice(only: Sequence[str], skip: Sequence[str]) -> Choice:
    """Return what is wanted, from options that name one or several each."""
    return Choice(_split(only), _split(skip))


def known(who: str, reasons: Sequence[str]) -> Known:
    """Return what is known. Raises `UsageError` for a reason without its statement."""
    return Known(who, dict(map(_reason, reasons)))


def conclude(
    subject: str, verdicts: Iterable[Verdict], wishes: Wishes, say: Callable[[Line], object]
) -> int:
    """Have the checks played by drawing their verdicts, tell of them, and return the exit code.

    `say` prints a line, in its colour where it can.
    """
    begin = time.monotonic()
    found = list(verdicts)
    seconds = time.monotonic() - begin
    if wishes.junit is not None:
        wishes.junit.write_text(report.to_junit(subject, found, seconds), encoding="utf-8")
    if wishes.as_json:
        say(Line(json.dumps(report.to_json(subject, found, seconds), indent=2)))
        return exit_status(found)
    say(Line(subject))
    for line in report.lines(found, quiet=wishes.quiet):
        say(line)
    say(Line(report.summary(found, seconds)))
    return exit_status(found)


def _split(texts: Sequence[str]) -> list[str]:
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]


def _reason(text: str) -> tuple[str, str]:
    id_, _, reason = text.partition("=")
    if not reason.strip():
        raise UsageError(f"{text!r} is no ID=REASON")
    return id_.strip().upper(), reason.strip()
