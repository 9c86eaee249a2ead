"""Say which tests check which statements of the specification: ``tools/specification.py``.

Writes the tables of docs/specification.md anew, from the statements of
`aerostat.testing.conformance`, from the marks that the tests carry, and from `NOT_TESTED`. Tests
are read, not imported. Writes docs/statements.md, too: `statement_pages`.
"""

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.not_tested import NOT_TESTED  # noqa: E402

from aerostat.errors import UsageError  # noqa: E402
from aerostat.testing.conformance.statements import (  # noqa: E402
    DEVIATIONS,
    GROUPS,
    STATEMENTS,
    Group,
    Statement,
)
from tools import statement_pages  # noqa: E402 - needs the path above

TESTS = ROOT / "tests"
DOCUMENT = ROOT / "docs" / "specification.md"


class Test(NamedTuple):
    """A test function, in a file whose path is relative to the repository."""

    path: str
    name: str


def _marked(node: ast.AST) -> Iterator[ast.Call]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and ast.unparse(inner.func) == "pytest.mark.statement":
            yield inner


def _ids(mark: ast.Call) -> list[str]:
    ids = [arg.value for arg in mark.args if isinstance(arg, ast.Constant)]
    if not ids or len(ids) != len(mark.args) or mark.keywords:
        raise UsageError(f"line {mark.lineno}: statements are named by their ids, as strings")
    return [str(one) for one in ids]


def marks_in(source: str) -> Iterator[tuple[str, str]]:
    """Yield the id of each statement that a test in `source` carries, and the test's name.

    A mark is among the decorators of a test, perhaps as one of a parameter's marks. Raises
    `UsageError` for one in any other place.
    """
    tree = ast.parse(source)
    found: set[ast.Call] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not node.name.startswith("test_"):
            continue
        for mark in (mark for decorator in node.decorator_list for mark in _marked(decorator)):
            found.add(mark)
            for id_ in _ids(mark):
                yield id_, node.name
    for mark in _marked(tree):
        if mark not in found:
            raise UsageError(f"line {mark.lineno}: only a test function carries statements")


def collect(folder: Path = TESTS) -> dict[str, list[Test]]:
    """Return the tests that carry each id, in the order of their files. Raises `UsageError`."""
    carried: dict[str, list[Test]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        name = path.relative_to(folder.parent).as_posix()
        try:
            for id_, test in marks_in(path.read_text(encoding="utf-8")):
                tests = carried.setdefault(id_, [])
                if Test(name, test) not in tests:
                    tests.append(Test(name, test))
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from error
    return carried


def id_in(name: str) -> str | None:
    """Return the id that a test's name begins with, as ``test_drv_op_1_…`` does; None if none."""
    words = name.removeprefix("test_").replace("_", "-").upper()
    found = [one for one in STATEMENTS if words.startswith(one + "-")]
    return max(found, key=len, default=None)


def _sentence(test: Test) -> str:
    """Return what a test's name says, without an id that it begins with, linked to its file."""
    words = test.name.removeprefix("test_")
    words = words[len(id_in(test.name) or "") :]
    return f"[{words.replace('_', ' ').strip()}](../{test.path})"


def _row(statement: Statement, carried: Mapping[str, Sequence[Test]]) -> str:
    words = statement.words + (f" *{statement.note}*" if statement.note else "")
    if statement.id in carried:
        shown = "<br>".join(map(_sentence, carried[statement.id]))
    else:
        shown = "not tested: " + NOT_TESTED.get(statement.id, "")
    cells = (statement.id, statement.who, statement.strength, statement.clause, words, shown)
    return f"| {' | '.join(cells)} |"


def _table(group: Group, carried: Mapping[str, Sequence[Test]]) -> str:
    needs = f"Where `{group.needs}` is negotiated.\n\n" if group.needs else ""
    head = "| id | who | strength | clause | in our words | tests |\n" + 6 * "|---" + "|\n"
    rows = "\n".join(_row(statement, carried) for statement in group.statements)
    return f"### {group.title}\n\n{needs}{head}{rows}\n"


def statements_part(carried: Mapping[str, Sequence[Test]]) -> str:
    """Return the tables of statements, with how many of them are tested."""
    tested = sum(id_ in carried for id_ in STATEMENTS)
    count = (
        f"{len(STATEMENTS)} statements: {tested} have tests, "
        f"{len(STATEMENTS) - tested} have a reason why not.\n"
    )
    return "\n".join([count, *(_table(group, carried) for group in GROUPS)])


def deviations_part() -> str:
    """Return the table of known deviations."""
    rows = "\n".join(f"| {one.implementation} | {one.id} | {one.words} |" for one in DEVIATIONS)
    return f"| who | statement | what |\n|---|---|---|\n{rows}\n"


def renew(document: str, carried: Mapping[str, Sequence[Test]]) -> str:
    """Return `document` with its generated parts made anew; the rest stays."""
    parts = {"statements": statements_part(carried), "deviations": deviations_part()}
    for name, text in parts.items():
        begin, end = f"<!-- {name}: made by `make statements` -->\n", f"<!-- end of {name} -->\n"
        before, rest = document.split(begin)
        _, after = rest.split(end)
        document = f"{before}{begin}\n{text}\n{end}{after}"
    return document


def main() -> None:
    """Renew the documents."""
    DOCUMENT.write_text(renew(DOCUMENT.read_text(encoding="utf-8"), collect()), encoding="utf-8")
    statement_pages.main()


if __name__ == "__main__":
    main()
