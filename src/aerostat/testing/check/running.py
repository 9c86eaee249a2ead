"""Plays checks one after the other, each against a subject made anew, and collects verdicts.

Whoever is checked may hang, hang up or die: that ends a check, never the run. After each check the
stage is asked whether the subject still is what it should be; if not, that check is to blame.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from aerostat.errors import AerostatError, LinkError
from aerostat.testing.check.checks import Check, Choice, Judge, Registry, chosen
from aerostat.testing.check.deadline import Deadline
from aerostat.testing.check.verdicts import Known, Outcome, Verdict

S = TypeVar("S")

#: Told of each check before it is played: its place from 1 on, how many there are, itself.
Progress = Callable[[int, int, Check[Any]], None]


class Stage(Protocol[S]):
    """Where checks are played: makes their subjects."""

    def lacks(self, check: Check[S]) -> str:
        """Return why a check cannot be played here, such as ``STATS_VQ is not offered``; or ""."""
        ...

    def open(self, check: Check[S], deadline: Deadline) -> AbstractContextManager[S]:
        """Return a fresh subject for a check. Raises `AerostatError` where there is none any more.

        Whatever waits on it gives up at the `deadline`.
        """
        ...

    def examine(self, check: Check[S]) -> str:
        """Return what is wrong with whoever is checked, now that a check is over; or ""."""
        ...


def run(
    stage: Stage[S],
    registry: Registry[S],
    *,
    choice: Choice | None = None,
    known: Known | None = None,
    progress: Progress | None = None,
) -> Iterator[Verdict]:
    """Play the checks that are chosen; yield their verdicts, those of statements without last.

    Raises `UsageError` where nothing is what was chosen.
    """
    choice, known = choice or Choice(), known or Known()
    choice.check(registry)
    known.check()
    yield from play_chosen(stage, registry, choice, known, progress)
    for id_, why in registry.unobservable.items():
        if choice.wants(id_):
            yield Verdict(id_, Outcome.UNOBSERVABLE, why)


def play_chosen(
    stage: Stage[S],
    registry: Registry[S],
    choice: Choice,
    known: Known,
    progress: Progress | None = None,
) -> Iterator[Verdict]:
    """Play the checks of `registry` that are chosen, if any; yield their verdicts."""
    wanted = list(chosen(registry, choice))
    for place, (check, ids) in enumerate(wanted, 1):
        if progress is not None:
            progress(place, len(wanted), check)
        for verdict in play(stage, check):
            if verdict.id in ids:
                yield known.judge(verdict)


def play(stage: Stage[S], check: Check[S]) -> Sequence[Verdict]:
    """Play one check; return a verdict for each of its statements. Raises no `AerostatError`."""
    if reason := stage.lacks(check):
        return [Verdict(id_, Outcome.SKIPPED, reason, check.title) for id_ in check.ids]
    judge = Judge(check.ids, check.title)
    try:
        subject = stage.open(check, Deadline(check.seconds))
    except AerostatError as error:
        # Whoever was played before was found sound: it is this one's fault no more than theirs.
        return [Verdict(id_, Outcome.UNOBSERVABLE, str(error), check.title) for id_ in check.ids]
    try:
        with subject as made:
            check.play(made, judge)
    except ConnectionError:
        judge.raised(LinkError("the other end hung up", retryable=False))
    except (AerostatError, OSError) as error:
        judge.raised(error if isinstance(error, AerostatError) else AerostatError(str(error)))
    if trouble := stage.examine(check):
        judge.violated(check.ids[0], trouble)
    return judge.verdicts()
