"""What a check is, how it judges, and the registries in which checks are found.

Pure. ::

    CHECKS: Registry[Machine] = Registry(Who.DEVICE)

    @CHECKS.add("DEV-OP-3", "VQ-DEV-4", needs=["STATS_VQ"])
    def requests_come_back(machine: Machine, judge: Judge) -> None:
        \"\"\"A request of one page is sent; its buffer must come back, with nothing written.\"\"\"
        used = machine.request(...)
        judge.expect(used.written == 0, "VQ-DEV-4", f"a used length of {used.written}")

What a check says nothing of when it ends, it has found kept. What it raises is a verdict too: a
`Violated` on the statement that it names, any other `AerostatError` on its first.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from aerostat.errors import AerostatError, UsageError
from aerostat.testing.check.verdicts import Outcome, Verdict, violation
from aerostat.testing.conformance.statements import STATEMENTS, Who, statement

#: Seconds that a check may take, unless it says otherwise.
SECONDS = 10.0

S = TypeVar("S")


class Violated(AerostatError):
    """A statement is not kept, and the check cannot go on."""

    def __init__(self, id: str, words: str) -> None:  # noqa: A002 - the field's name
        super().__init__(words)
        self.id = statement(id).id


class Unobservable(AerostatError):
    """The check cannot see what it wants to see; the message says why."""


class Judge:
    """Takes down what one check finds of its statements `ids`."""

    def __init__(self, ids: Sequence[str], check: str) -> None:
        self.ids = tuple(ids)
        self.check = check
        self._found: dict[str, Verdict] = {}

    def expect(self, kept: bool, id: str, words: str) -> bool:  # noqa: A002, FBT001 - as assert
        """Take down that a statement is violated unless it is `kept`; return whether it is.

        `words` say what was seen where it is not.
        """
        if not kept:
            self.violated(id, words)
        return kept

    def violated(self, id: str, words: str) -> None:  # noqa: A002 - the field's name
        """Take down that a statement is not kept; what was found first stays."""
        before = self._found.get(id)
        if before is None or before.outcome not in (Outcome.FAIL, Outcome.WARNING):
            self._put(id, violation(id), words)

    def unobservable(self, id: str, why: str) -> None:  # noqa: A002 - the field's name
        """Take down that a statement could not be seen, unless it was found violated."""
        if id not in self._found:
            self._put(id, Outcome.UNOBSERVABLE, why)

    def saw(self, id: str, words: str) -> None:  # noqa: A002 - the field's name
        """Take down how a statement was seen kept, unless it was found violated."""
        if id not in self._found or self._found[id].outcome is Outcome.PASS:
            self._put(id, Outcome.PASS, words)

    def _put(self, id_: str, outcome: Outcome, words: str) -> None:
        if id_ not in self.ids:
            raise UsageError(f"{self.check} judges {id_}, and does not say so")
        self._found[id_] = Verdict(id_, outcome, words, self.check)

    def raised(self, error: AerostatError) -> None:
        """Take down what ended the check before its end."""
        match error:
            case Violated() if error.id in self.ids:
                self.violated(error.id, str(error))
                why = "the check ended early"
            case Unobservable():
                why = str(error)
            case _:
                self.violated(self.ids[0], str(error))
                why = f"the check ended early: {error}"
        for id_ in self.ids:
            self.unobservable(id_, why)

    def verdicts(self) -> list[Verdict]:
        """Return a verdict for each statement, in their order."""
        return [
            self._found.get(id_, Verdict(id_, Outcome.PASS, "", self.check)) for id_ in self.ids
        ]


class Check(NamedTuple, Generic[S]):
    """Something to be played against a subject, from which statements `ids` are judged.

    `how` says how they are observed, in a sentence or a few. It `needs` features, by name.
    `parameter` tells checks of one function apart: a bad input's name, a set of features.
    """

    name: str
    ids: tuple[str, ...]
    how: str
    play: Callable[[S, Judge], None]
    needs: tuple[str, ...] = ()
    seconds: float = SECONDS
    parameter: str = ""

    @property
    def title(self) -> str:
        """The name, and the parameter."""
        return f"{self.name}: {self.parameter}" if self.parameter else self.name


class Registry(Generic[S]):
    """The checks of one side, in the order in which they are played.

    `unobservable` says, by id, why no check looks at a statement that speaks of this side.
    """

    def __init__(self, side: Who) -> None:
        self.side = side
        self.checks: list[Check[S]] = []
        self.unobservable: dict[str, str] = {}

    def add(
        self, *ids: str, needs: Iterable[str] = (), seconds: float = SECONDS
    ) -> Callable[[Callable[[S, Judge], None]], Callable[[S, Judge], None]]:
        """Return a decorator that registers a function as a check. Its docstring becomes `how`."""

        def register(play: Callable[[S, Judge], None]) -> Callable[[S, Judge], None]:
            self.put(
                Check(_name(play), ids, " ".join(_how(play).split()), play, tuple(needs), seconds)
            )
            return play

        return register

    def put(self, check: Check[S]) -> None:
        """Register a check. Raises `UsageError` for statements that are not of this side."""
        for id_ in check.ids:
            if statement(id_).who not in (self.side, Who.BOTH):
                raise UsageError(f"{check.name}: {id_} does not speak of {self.side}s")
        self.checks.append(check)

    def of(self, id_: str) -> list[Check[S]]:
        """Return the checks of a statement."""
        return [check for check in self.checks if id_ in check.ids]

    @property
    def statements(self) -> list[str]:
        """The ids of all statements that speak of this side."""
        return [one.id for one in STATEMENTS.values() if one.who in (self.side, Who.BOTH)]


def _name(play: Callable[..., object]) -> str:
    return play.__name__.strip("_").replace("_", "-")


def _how(play: Callable[..., object]) -> str:
    how = inspect.getdoc(play)
    if not how:
        raise UsageError(f"{play.__name__} does not say how it observes")
    return how


class Choice:
    """Which statements and checks are wanted: ``--only`` and ``--skip``.

    Each word is an id, the beginning of some (``DEV-STATS``), or a check's name. Raises
    `UsageError` for a word that is none of these.
    """

    def __init__(self, only: Sequence[str] = (), skip: Sequence[str] = ()) -> None:
        self.only = tuple(only)
        self.skip = tuple(skip)

    def check(self, registry: Registry[S]) -> None:
        """Raise `UsageError` for a word that chooses nothing."""
        for word in (*self.only, *self.skip):
            names = [*registry.statements, *(check.name for check in registry.checks)]
            if not any(_fits(word, name) for name in names):
                raise UsageError(f"no {registry.side}'s statement or check is called {word}")

    def ids(self, check: Check[S]) -> tuple[str, ...]:
        """Return the statements of a check that are wanted; none: it need not be played."""
        if self._named(check.name, self.skip):
            return ()
        chosen = [id_ for id_ in check.ids if not self._named(id_, self.skip)]
        if self.only and not self._named(check.name, self.only):
            chosen = [id_ for id_ in chosen if self._named(id_, self.only)]
        return tuple(chosen)

    def wants(self, id_: str) -> bool:
        """Return whether a statement is wanted, by its id alone."""
        return not self._named(id_, self.skip) and (not self.only or self._named(id_, self.only))

    def _named(self, name: str, words: Iterable[str]) -> bool:
        return any(_fits(word, name) for word in words)


def _fits(word: str, name: str) -> bool:
    word, name = word.lower(), name.lower()
    return name == word or name.startswith(word.rstrip("-") + "-")


def chosen(registry: Registry[S], choice: Choice) -> Iterator[tuple[Check[S], tuple[str, ...]]]:
    """Yield the checks to be played, with the statements to be reported of each."""
    for check in registry.checks:
        ids = choice.ids(check)
        if ids:
            yield check, ids
