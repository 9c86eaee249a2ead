"""The page for authors of policies says what the engine has."""

import re
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from aerostat.daemon.config import loads
from aerostat.daemon.policies import find
from aerostat.engine.conditions import diagram
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.policies.catalogue import POLICIES
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.targets import Targets
from aerostat.testing.policies.checking import check_policy, table
from aerostat.units import MIB

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from tools import sweep_settings  # noqa: E402 - needs the path above

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


def test_the_sweep_is_what_was_found(page: Any) -> None:
    found = sweep_settings.read(ROOT / "docs" / "sweep.json")

    assert "\n".join(sweep_settings.table(found)) in page.text


def test_the_diagram_is_drawn_from_the_table(page: Any) -> None:
    assert page.code("mermaid") == [diagram()]


def test_code_that_is_shown_is_real(page: Any) -> None:
    protocol, example, suite, step, behaviour = page.code("python")

    assert protocol in (ROOT / "src/aerostat/engine/policies/base.py").read_text()
    assert (ROOT / "examples/policies/headroom.py").read_text().endswith(example)
    assert suite in (ROOT / "examples/policies/test_headroom.py").read_text()
    assert step in (ROOT / "src/aerostat/engine/step.py").read_text()
    assert behaviour in (ROOT / "tests/engine/test_behaviour.py").read_text()


def test_the_configuration_that_is_shown_is_right(page: Any) -> None:
    entry_point, configuration = page.code("toml")

    assert entry_point in (ROOT / "examples/policies/pyproject.toml").read_text()
    here = f'"{ROOT}/examples/policies/headroom.py:Headroom"'
    assert loads(configuration.replace('"headroom"', here)).policy == here.strip('"')


def test_all_policies_are_listed(page: Any) -> None:
    told = page.table("policy")

    assert list(told) == list(POLICIES)
    for name, kind in POLICIES.items():
        (title, *_) = (kind.__doc__ or "").splitlines()
        assert title.startswith(told[name][0].rstrip(".")), name


@pytest.mark.slow
def test_the_kit_finds_what_it_is_shown_to_find(page: Any) -> None:
    (shown,) = page.code("text")
    place = f"{ROOT}/examples/policies/headroom.py:Headroom"
    reports = [
        check_policy(find(before + place), f"{before}headroom") for before in ("", "guarded:")
    ]

    assert shown.strip() == table(reports)


def test_what_the_toy_world_is_said_to_have_it_has(page: Any) -> None:
    sentence = re.search(r"steps once a second and obeys; (.*) may be changed", page.text)
    assert sentence is not None
    named = re.findall(r"`(\w+)`", sentence[1])
    world = (ROOT / "tests/engine/conftest.py").read_text()

    assert len(named) >= 10
    assert all(re.search(rf"self\.{name}\b.* = ", world) for name in named)
