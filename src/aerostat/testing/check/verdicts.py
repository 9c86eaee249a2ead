"""What can be said of a statement of the specification, once somebody was held to it. Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from aerostat.errors import UsageError
from aerostat.testing.conformance.statements import (
    STATEMENTS,
    Strength,
    deviations_from,
    statement,
)


class Outcome(StrEnum):
    """What came of a check, the worst first."""

    FAIL = "fail"
    """It is not kept."""
    WARNING = "warning"
    """It is not kept, and is something that only *should* be."""
    DEVIATION = "deviation"
    """It is not kept, which is known, and somebody has a reason."""
    PASS = "pass"  # noqa: S105 - a word that linters take for a password
    """It was looked for, and found kept."""
    UNOBSERVABLE = "unobservable"
    """It cannot be seen from here, or could not be this time."""
    SKIPPED = "skipped"
    """It is about a feature that is not offered, or the user left it out."""


_ORDER = {outcome: place for place, outcome in enumerate(Outcome)}
_SHOULD = {Strength.SHOULD, Strength.SHOULD_NOT}


class Verdict(NamedTuple):
    """What `check` found of the statement `id`: `words` are what was seen, or why nothing was."""

    id: str
    outcome: Outcome
    words: str = ""
    check: str = ""


def violation(id: str) -> Outcome:  # noqa: A002 - the field's name
    """Return what it is when this statement is not kept. Raises `UsageError` if there is none."""
    return Outcome.WARNING if statement(id).strength in _SHOULD else Outcome.FAIL


def exit_status(verdicts: Iterable[Verdict]) -> int:
    """Return 1 if any statement is violated, 0 if all are kept or known not to be."""
    return int(any(verdict.outcome is Outcome.FAIL for verdict in verdicts))


def by_statement(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    """Return the verdicts on each statement, the worst first, in the order of the statements."""
    found: dict[str, list[Verdict]] = {id_: [] for id_ in STATEMENTS}
    for verdict in verdicts:
        found[verdict.id].append(verdict)
    return {
        id_: sorted(those, key=lambda verdict: _ORDER[verdict.outcome])
        for id_, those in found.items()
        if those
    }


class Known(NamedTuple):
    """Who is checked, by a name of the table of deviations, and what else is known of them.

    `who` is the beginning of `Deviation.implementation`, such as ``Linux``; "" is nobody that the
    table knows. `reasons` are the user's own, by the statements' ids. Raises `UsageError` for a
    statement that there is not, on its first use.
    """

    who: str = ""
    reasons: Mapping[str, str] = {}

    def judge(self, verdict: Verdict) -> Verdict:
        """Return `verdict`, as a known deviation if it is one; hint at others who have it."""
        if verdict.outcome not in (Outcome.FAIL, Outcome.WARNING):
            return verdict
        if reason := self.reasons.get(verdict.id):
            return _deviation(verdict, reason)
        deviations = deviations_from(verdict.id)
        for one in deviations:
            if self.who and one.implementation.lower().startswith(self.who.lower()):
                return _deviation(verdict, f"{one.implementation} {one.words}")
        if deviations and not self.who:
            others = "; ".join(f"{one.implementation} {one.words}" for one in deviations)
            return verdict._replace(words=f"{verdict.words} (known: {others})")
        return verdict

    def check(self) -> None:
        """Raise `UsageError` if a reason is given for a statement that there is not."""
        for id_ in self.reasons:
            if id_ not in STATEMENTS:
                raise UsageError(f"no statement of the specification is called {id_}")


def _deviation(verdict: Verdict, reason: str) -> Verdict:
    words = f"{verdict.words} (known: {reason})" if verdict.words else reason
    return verdict._replace(outcome=Outcome.DEVIATION, words=words)
