"""What the doctor found, for people and for programs. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from aerostat.doctor.findings import Finding, Level, counted, status

SCHEMA = 1
_SIGNS = {Level.OK: "✔", Level.INFO: "·", Level.WARNING: "!", Level.CRITICAL: "✖"}
_COLOURS = {Level.OK: "green", Level.INFO: "cyan", Level.WARNING: "yellow", Level.CRITICAL: "red"}
_WORDS = {Level.WARNING: "warning", Level.CRITICAL: "critical"}


def to_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return plain values for a JSON encoder."""
    return {
        "schema": SCHEMA,
        "status": status(findings),
        "findings": [
            {
                "subject": finding.subject,
                "check": finding.check,
                "level": finding.level.name.lower(),
                "text": finding.text,
                "mend": finding.mend,
            }
            for finding in findings
        ],
    }


class Line:
    """A line of text, the colour that it might have, and whether it is a heading."""

    __slots__ = ("colour", "heading", "text")

    def __init__(self, text: str, colour: str | None = None, *, heading: bool = False) -> None:
        self.text = text
        self.colour = colour
        self.heading = heading


def lines(findings: Sequence[Finding], *, quiet: bool = False) -> list[Line]:
    """Return what was found, a subject after the other; `quiet` leaves out what is well."""
    wanted = [finding for finding in findings if not quiet or finding.level >= Level.WARNING]
    width = max((len(finding.check) for finding in wanted), default=0)
    made: list[Line] = []
    subject, told = None, dict[str, str]()
    for finding in wanted:
        if finding.subject != subject:
            subject, told = finding.subject, {}
            made.append(Line(subject, heading=True))
        sign = _SIGNS[finding.level]
        text = f"  {sign} {finding.check:<{width}}  {finding.text}"
        made.append(Line(text, _COLOURS[finding.level]))
        indent = " " * (width + 6)
        # One and the same thing often mends two faults.
        if finding.mend:
            first = told.setdefault(finding.mend, finding.check)
            mend = finding.mend if first == finding.check else f"the same as for {first}"
            made += [Line(indent + text) for text in mend.splitlines()]
    return made


def summary(findings: Sequence[Finding]) -> str:
    """Return how many of which there are, in a line."""
    counts = Counter(finding.level for finding in findings)
    bad = [f"{counts[level]} {_WORDS[level]}" for level in _WORDS if counts[level]]
    return f"{counted(len(findings), 'check')}: {', '.join(reversed(bad)) or 'all is well'}"
