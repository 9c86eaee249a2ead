"""Scenarios by their names: families, traces, files; what is not there is not known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.daemon.config.source import ConfigError, Document
from aerostat.errors import UsageError
from aerostat.simulator.scenarios import from_toml, scenario
from aerostat.simulator.workloads import FAMILIES
from aerostat.units import MIB

TRACES = Path(__file__).parents[2] / "examples" / "traces"


def test_a_family_or_all_of_them() -> None:
    assert scenario("build").families == (FAMILIES["build"],)
    assert scenario("all").families == tuple(FAMILIES.values())


@pytest.mark.parametrize("of", ["bitbrains", "google:"])
def test_a_trace_of_a_kind_that_shows_or_is_said(of: str) -> None:
    name, colon, _ = of.partition(":")
    path = TRACES / (f"{name}/instance_usage.json" if colon else name)
    (family,) = scenario(f"{of if colon else ''}{path}").families

    assert len(family.guests(1, 3, 300.0)) == 3


@given(st.text(alphabet="[]guests={}\"'\n0.familyb,", max_size=60))
def test_whatever_a_file_says_is_a_scenario_or_a_mistake(text: str) -> None:
    try:
        made = from_toml(Document.of(text, "mine"), "mine")
    except ConfigError:
        return
    assert made.families[0].guest(np.random.default_rng(1), 0, 60.0).max_size > MIB


@pytest.mark.parametrize(("text", "said"), [("biuld", "did you mean build"), ("x", "--list")])
def test_what_is_not_there_is_not_known(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        scenario(text)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine\.toml: cannot be read"):
        scenario(str(tmp_path / "mine.toml"))
