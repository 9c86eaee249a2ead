"""The table of all checks, and the docs that are made of it."""

import ast
from pathlib import Path

import pytest

import aerostat.doctor
from aerostat.doctor.checks import CHECKS, table

DOCS = Path(__file__).parents[2] / "docs/doctor.md"
SOURCE = Path(aerostat.doctor.__file__).parent


@pytest.mark.parametrize("about", ["host", "manager", "connector", "guest"])
def test_the_docs_are_up_to_date(about: str) -> None:
    """Copy what `table` returns into docs/doctor.md where this fails."""
    assert f"\n{table(about)}\n" in DOCS.read_text(encoding="utf-8")


def test_every_check_is_made_somewhere_and_every_one_made_is_known() -> None:
    texts = {
        node.value
        for path in SOURCE.glob("*.py")
        if path.name != "checks.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert CHECKS.keys() <= texts


def test_names_are_words() -> None:
    assert all(name.isidentifier() and check.finds for name, check in CHECKS.items())
