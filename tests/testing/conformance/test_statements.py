"""The statements of the specification, and that each is tested or it is said why not."""

import re
import sys
from pathlib import Path

import pytest

from aerostat.errors import UsageError
from aerostat.testing.conformance import statements
from aerostat.testing.conformance.statements import GROUPS, STATEMENTS, Strength, Who

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT))

from tools.not_tested import NOT_TESTED  # noqa: E402

from tools import specification, statement_pages  # noqa: E402 - needs the path above


@pytest.fixture(scope="module")
def carried() -> dict[str, list[specification.Test]]:
    return specification.collect()


def test_no_two_statements_share_an_id() -> None:
    assert len(STATEMENTS) == sum(len(group.statements) for group in GROUPS)


def test_statements_are_well_formed() -> None:
    for one in STATEMENTS.values():
        assert re.fullmatch(
            r"(DRV|DEV|LEG|CFG|ST|VQ|PK|PCI|VU|USE|BAD)(-[A-Z]+)?(-\d+){1,2}", one.id
        )
        assert re.fullmatch(r"\d+(\.\d+)*|vhost-user, .+", one.clause), one.id
        assert one.words.endswith("."), one.id
        assert one.note.endswith(".") or not one.note, one.id
        if "DRV-" in one.id:
            assert one.who is Who.DRIVER, one.id
        if "DEV-" in one.id:
            assert one.who is Who.DEVICE, one.id


def test_statements_and_their_groups_are_found_by_id() -> None:
    assert statements.statement("DRV-STATS-1").strength is Strength.MUST
    assert statements.group_of("DRV-STATS-1").needs == "STATS_VQ"
    assert [one.implementation for one in statements.deviations_from("VQ-DEV-4")]
    assert statements.deviations_from("DRV-STATS-1") == ()
    for ask in (statements.statement, statements.group_of, statements.deviations_from):
        with pytest.raises(UsageError, match="DRV-STATS-99"):
            ask("DRV-STATS-99")


def test_what_deviates_deviates_from_something() -> None:
    assert {one.id for one in statements.DEVIATIONS} <= STATEMENTS.keys()


# ---- what the tests carry


def test_tests_name_statements_that_exist(carried: dict[str, list[specification.Test]]) -> None:
    assert carried.keys() <= STATEMENTS.keys()


def test_a_statement_has_tests_or_a_reason_why_not(
    carried: dict[str, list[specification.Test]],
) -> None:
    assert NOT_TESTED.keys() <= STATEMENTS.keys()
    assert STATEMENTS.keys() - carried.keys() == NOT_TESTED.keys(), "one or the other, not both"
    assert all(NOT_TESTED.values())


def test_a_test_that_has_an_id_in_its_name_carries_it(
    carried: dict[str, list[specification.Test]],
) -> None:
    named = [
        (id_, path.name, name)
        for path in sorted(specification.TESTS.rglob("test_*.py"))
        for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
        if (id_ := specification.id_in(name)) is not None
    ]

    assert named
    for id_, file, name in named:
        assert name in {test.name for test in carried[id_]}, f"{file}: {name}"


def test_the_document_is_up_to_date(carried: dict[str, list[specification.Test]]) -> None:
    written = specification.DOCUMENT.read_text(encoding="utf-8")

    assert written == specification.renew(written, carried), "run: make statements"


def test_every_statement_has_a_section_that_is_up_to_date() -> None:
    written = statement_pages.DOCUMENT.read_text(encoding="utf-8")

    assert written == statement_pages.page(), "run: make statements"
    assert all(f"\n### {id_}\n" in written for id_ in STATEMENTS)


# ---- how they are collected


def test_marks_are_found_wherever_a_test_can_carry_them() -> None:
    source = """
@pytest.mark.statement("A", "B")
@pytest.mark.slow
def test_one(): ...

class TestTwo:
    @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.statement("C"))])
    async def test_two(self): ...
"""
    assert sorted(specification.marks_in(source)) == [
        ("A", "test_one"),
        ("B", "test_one"),
        ("C", "test_two"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "pytestmark = pytest.mark.statement('A')",
        "@pytest.mark.statement('A')\nclass TestA: ...",
        "@pytest.mark.statement('A')\ndef helper(): ...",
        "@pytest.mark.statement()\ndef test_a(): ...",
        "@pytest.mark.statement(A)\ndef test_a(): ...",
        "@pytest.mark.statement('A', id='B')\ndef test_a(): ...",
    ],
)
def test_marks_that_would_be_overlooked_are_refused(source: str) -> None:
    with pytest.raises(UsageError, match="line 1"):
        list(specification.marks_in(source))


def test_a_document_keeps_what_is_not_generated() -> None:
    begin, end = "<!-- {}: made by `make statements` -->\n", "<!-- end of {} -->\n"
    names = ("statements", "deviations")
    document = "# A\n" + "".join(begin.format(name) + end.format(name) for name in names) + "B\n"
    test = specification.Test("tests/test_x.py", "test_drv_stats_1_one_is_enough")
    renewed = specification.renew(document, {"DRV-STATS-1": [test]})

    assert renewed.startswith("# A\n")
    assert renewed.endswith("B\n")
    assert "| DRV-STATS-1 | driver | MUST | 5.5.6.3.1 | " in renewed
    assert " | [one is enough](../tests/test_x.py) |\n" in renewed
    assert "1 have tests" in renewed
    assert specification.renew(renewed, {"DRV-STATS-1": [test]}) == renewed
