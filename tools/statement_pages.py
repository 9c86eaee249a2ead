"""Write a section for each statement: ``tools/statement_pages.py``, which `make statements` runs.

Makes docs/statements.md, from the statements of `aerostat.testing.conformance` and from the checks
of ``aerostat check``, which say how each is observed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aerostat.testing.check.checks import Registry
from aerostat.testing.check.device.all_checks import CHECKS as OF_DEVICES
from aerostat.testing.check.driver.all_checks import CHECKS as OF_DRIVERS
from aerostat.testing.check.explaining import observations, place
from aerostat.testing.conformance.statements import GROUPS, Group, Statement, deviations_from

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "statements.md"
REGISTRIES: tuple[Registry[Any], ...] = (OF_DEVICES, OF_DRIVERS)

_HEAD = """\
# Every statement, and how it is observed

What [`aerostat check`](check.md) holds devices and drivers to.
`aerostat check --explain ID` prints the same.
Which of aerostat's own tests check a statement is in [specification.md](specification.md).
This page is made by `make statements`.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *(part for group in GROUPS for part in _group(group))])


def _group(group: Group) -> Iterator[str]:
    needs = f"\nWhere `{group.needs}` is negotiated.\n" if group.needs else ""
    yield f"## {group.title}\n{needs}"
    for one in group.statements:
        yield "\n".join(_statement(one)) + "\n"


def _statement(one: Statement) -> Iterator[str]:
    yield f"### {one.id}\n"
    yield f"**{one.who}, {one.strength}:** {one.words}"
    if one.note:
        yield f"*{one.note}*"
    yield f"\nIn {place(one.clause)}.\n"
    for registry in REGISTRIES:
        for name, how in observations(one.id, registry):
            named = f"`{name}`: " if name else "not observable: "
            yield f"- *of a {registry.side}:* {named}{how}"
    for deviation in deviations_from(one.id):
        yield f"- *known:* {deviation.implementation} {deviation.words}"


def main() -> None:
    """Write the page."""
    DOCUMENT.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
