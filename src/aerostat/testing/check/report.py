"""Verdicts for people and for programs: lines of text, JSON, JUnit. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from aerostat import __version__
from aerostat.testing.check.verdicts import Outcome, Verdict, by_statement, exit_status
from aerostat.testing.conformance.statements import GROUPS, Strength, statement

SCHEMA = 1

#: What each outcome is called in lines of text.
WORDS = {
    Outcome.PASS: "pass",
    Outcome.FAIL: "FAIL",
    Outcome.WARNING: "warning",
    Outcome.DEVIATION: "known",
    Outcome.UNOBSERVABLE: "unseen",
    Outcome.SKIPPED: "skipped",
}
_COLOURS = {
    Outcome.PASS: "green",
    Outcome.FAIL: "red",
    Outcome.WARNING: "yellow",
    Outcome.DEVIATION: "cyan",
}
_COUNTED = {
    Outcome.PASS: "kept",
    Outcome.FAIL: "violated",
    Outcome.WARNING: "not kept that should be",
    Outcome.DEVIATION: "known not to be kept",
    Outcome.UNOBSERVABLE: "not observable here",
    Outcome.SKIPPED: "skipped",
}
_OUTCOME_WIDTH = max(map(len, WORDS.values()))
_ID_WIDTH = 12
_STRENGTH_WIDTH = max(map(len, Strength))
_INDENT = " " * (2 + _OUTCOME_WIDTH + 2)
# Of violations of one and the same statement; the others are counted.
_SHOWN = 20


class Line(NamedTuple):
    """A line of text, the colour that it might have, and whether it is a heading."""

    text: str
    colour: str | None = None
    heading: bool = False


def lines(verdicts: Sequence[Verdict], *, quiet: bool = False) -> Iterator[Line]:
    """Yield a line for each statement, and for each way in which it was not kept.

    `quiet` leaves out what is kept, and what could not be seen.
    """
    found = by_statement(verdicts)
    for group in GROUPS:
        shown = [
            one.id
            for one in group.statements
            if one.id in found and not (quiet and found[one.id][0].outcome not in _WRONG)
        ]
        if shown:
            yield Line(group.title, heading=True)
        for id_ in shown:
            yield from _of_statement(id_, found[id_])


_WRONG = (Outcome.FAIL, Outcome.WARNING, Outcome.DEVIATION)


def _of_statement(id_: str, verdicts: Sequence[Verdict]) -> Iterator[Line]:
    worst = verdicts[0]
    word, colour = WORDS[worst.outcome], _COLOURS.get(worst.outcome)
    one = statement(id_)
    told = f"{one.strength:<{_STRENGTH_WIDTH}} {one.words}"
    if worst.outcome not in (*_WRONG, Outcome.PASS):
        told = f"({_printable(worst.words)})"
    yield Line(f"  {word:<{_OUTCOME_WIDTH}}  {id_:<{_ID_WIDTH}} {told}", colour)
    wrong = [verdict for verdict in verdicts if verdict.outcome in _WRONG]
    for verdict in wrong[:_SHOWN]:
        yield Line(f"{_INDENT}{_told(verdict)}", _COLOURS[verdict.outcome])
    if len(wrong) > _SHOWN:
        yield Line(f"{_INDENT}and {len(wrong) - _SHOWN} more")


def _told(verdict: Verdict) -> str:
    words = _printable(verdict.words)
    return f"{words} [{verdict.check}]" if verdict.check else words


def summary(verdicts: Sequence[Verdict], seconds: float) -> str:
    """Return how many statements came to what, in a line."""
    found = by_statement(verdicts)
    counts = Counter(those[0].outcome for those in found.values())
    parts = [f"{counts[outcome]} {_COUNTED[outcome]}" for outcome in _COUNTED if counts[outcome]]
    checks = len({verdict.check for verdict in verdicts if verdict.check})
    return f"{len(found)} statements: {', '.join(parts)}; {checks} checks in {seconds:.1f} s"


def to_json(subject: str, verdicts: Sequence[Verdict], seconds: float) -> dict[str, Any]:
    """Return plain values for a JSON encoder; `subject` says who was checked."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "subject": subject,
        "status": exit_status(verdicts),
        "seconds": round(seconds, 3),
        "statements": [
            {
                "id": id_,
                "outcome": those[0].outcome.value,
                "strength": statement(id_).strength.value,
                "clause": statement(id_).clause,
                "words": statement(id_).words,
                "verdicts": [
                    {"check": one.check, "outcome": one.outcome.value, "words": one.words}
                    for one in those
                ],
            }
            for id_, those in by_statement(verdicts).items()
        ],
    }


def to_junit(subject: str, verdicts: Sequence[Verdict], seconds: float) -> str:
    """Return a JUnit report: a test case for each verdict, in the suites of the statements' groups.

    A warning and a known deviation are skipped there, with their words: they fail no build.
    """
    root = ET.Element("testsuites", name=f"aerostat check: {subject}", time=f"{seconds:.3f}")
    found = by_statement(verdicts)
    for group in GROUPS:
        cases = [one for each in group.statements for one in found.get(each.id, ())]
        if not cases:
            continue
        suite = ET.SubElement(root, "testsuite", name=group.title, tests=str(len(cases)))
        for one in cases:
            _case(suite, one)
        for name, tag in (("failures", "failure"), ("skipped", "skipped")):
            suite.set(name, str(len(suite.findall(f"*/{tag}"))))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, verdict: Verdict) -> None:
    words = _printable(verdict.words)
    case = ET.SubElement(
        suite, "testcase", classname=verdict.id, name=_printable(verdict.check) or verdict.id
    )
    if verdict.outcome is Outcome.FAIL:
        failure = ET.SubElement(case, "failure", message=words)
        failure.text = statement(verdict.id).words
    elif verdict.outcome is not Outcome.PASS:
        ET.SubElement(case, "skipped", message=f"{verdict.outcome}: {words}")


def _printable(text: str) -> str:
    """Return text as XML and terminals can have it, whatever a peer made us say."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
