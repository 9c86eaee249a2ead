"""What the kit looks at, for people: the list of statements, and all about one of them. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from aerostat.testing.check.checks import Registry
from aerostat.testing.conformance.statements import GROUPS, deviations_from, group_of, statement


def listing(registries: Sequence[Registry[Any]]) -> Iterator[str]:
    """Yield a line for each statement that is looked at, below its group's title."""
    for group in GROUPS:
        lines = [
            f"  {one.id:<12} {', '.join(sides):<14} {one.strength:<10} {one.words}"
            for one in group.statements
            if (sides := [f"{each.side}" for each in registries if each.of(one.id)])
        ]
        if lines:
            yield group.title
            yield from lines


def explanation(id: str, registries: Sequence[Registry[Any]]) -> Iterator[str]:  # noqa: A002
    """Yield all that is known of a statement, in lines. Raises `UsageError` if there is none."""
    one, group = statement(id.upper()), group_of(id.upper())
    yield f"{one.id} ({one.who}, {one.strength}): {one.words}"
    if one.note:
        yield one.note
    yield f"In {place(one.clause)}: {group.title.lower()}."
    if group.needs:
        yield f"Where {group.needs} is negotiated."
    for registry in registries:
        for name, how in observations(one.id, registry):
            yield f"- of a {registry.side}, {name or 'not observable'}: {how}"
    for deviation in deviations_from(one.id):
        yield f"- known: {deviation.implementation} {deviation.words}"


def place(clause: str) -> str:
    """Return where a statement is found, as one would cite it."""
    return f"virtio 1.2, {clause}" if clause[0].isdigit() else clause


def observations(id_: str, registry: Registry[Any]) -> list[tuple[str, str]]:
    """Return how a statement is observed of one side: checks' names, and what each does.

    Where it is not observable, the name is "", and the rest says why.
    """
    told = {}
    for check in registry.of(id_):
        needs = f" Needs {', '.join(check.needs)}." if check.needs else ""
        told[check.name] = f"{check.how}{needs}"
    if not told and id_ in registry.unobservable:
        return [("", registry.unobservable[id_])]
    return list(told.items())
