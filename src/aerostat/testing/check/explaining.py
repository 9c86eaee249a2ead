"""What the kit looks at, for people: the list of statements, and all about one of them. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from aerostat.testing.check.checks import Registry
from aerostat.testing.conformance.statements import GROUPS, deviations_from, group_of, statement


def listing(registries: Sequence[Registry[Any]]) -> Iterator[str]:
    """Yield a line for each statement that is looked at, below its group's title."""
    for group in GROUPS:
        lines = [
            f"  {one.id:<13} {', '.join(sides):<15} {one.words}"
            for one in group.statements
            if (sides := [f"{each.side}" for each in registries if each.of(one.id)])
        ]
        if lines:
            yield group.title
            yield from lines


def explanation(id: str, registries: Sequence[Registry[Any]]) -> Iterator[str]:  # noqa: A002
    """Yield all that is known of a statement, in lines. Raises `UsageError` if there is none."""
    one, group = statement(id.upper()), group_of(id.upper())
    yield f"{one.id}: {one.words}"
    if one.note:
        yield one.note
    yield ""
    yield f"of whom     {one.who}"
    yield f"strength    {one.strength}"
    yield f"where       {place(one.clause)} ({group.title})"
    if group.needs:
        yield f"if          {group.needs} is negotiated"
    for registry in registries:
        yield from _observed(one.id, registry)
    for deviation in deviations_from(one.id):
        yield f"known       {deviation.implementation} {deviation.words}"


def place(clause: str) -> str:
    """Return where a statement is found, as one would cite it."""
    return f"virtio 1.2, {clause}" if clause[0].isdigit() else clause


def _observed(id_: str, registry: Registry[Any]) -> Iterator[str]:
    told = set()
    for check in registry.of(id_):
        if check.name not in told:
            told.add(check.name)
            needs = f" Needs {', '.join(check.needs)}." if check.needs else ""
            yield f"of a {registry.side:<7}{check.name}: {check.how}{needs}"
    if not told and id_ in registry.unobservable:
        yield f"of a {registry.side:<7}not observable: {registry.unobservable[id_]}"
