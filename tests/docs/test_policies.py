"""The page for authors of policies says what the engine has."""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from aerostat.engine.conditions import diagram
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.targets import Targets
from aerostat.units import MIB

ROOT = Path(__file__).parents[2]
UNITS = {"": 1.0, "s": 1.0, "MiB": float(MIB)}


@pytest.fixture(scope="module")
def page(document: Callable[[str], Any]) -> Any:
    return document("docs/policies.md")


def names(kind: Any) -> list[str]:
    return [field.name for field in fields(kind)]


def test_the_columns_are_those_of_the_engine(page: Any) -> None:
    assert list(page.table("column of `Guests`")) == names(Guests)
    assert list(page.table("column of `State`")) == names(State)
    assert all(f"`{name}`" in page.section("What goes in") for name in names(Hosts))
    assert all(f"`{name}`" in page.section("The way through") for name in names(Targets))


def test_the_settings_are_those_of_the_engine(page: Any) -> None:
    told, settings = page.table("setting"), Settings()

    assert list(told) == names(Settings)
    for name, (value, _) in told.items():
        number, _, unit = value.partition(" ")
        is_so = getattr(settings, name)
        assert is_so == (number if isinstance(is_so, str) else float(number) * UNITS[unit]), name


def test_the_diagram_is_drawn_from_the_table(page: Any) -> None:
    assert page.code("mermaid") == [diagram()]


def test_code_that_is_shown_is_real(page: Any) -> None:
    step, behaviour = page.code("python")

    assert step in (ROOT / "src/aerostat/engine/step.py").read_text()
    assert behaviour in (ROOT / "tests/engine/test_behaviour.py").read_text()


def test_what_the_toy_world_is_said_to_have_it_has(page: Any) -> None:
    sentence = re.search(r"steps once a second and obeys; (.*) may be changed", page.text)
    assert sentence is not None
    named = re.findall(r"`(\w+)`", sentence[1])
    world = (ROOT / "tests/engine/conftest.py").read_text()

    assert len(named) >= 10
    assert all(re.search(rf"self\.{name}\b.* = ", world) for name in named)
