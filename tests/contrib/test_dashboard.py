"""The dashboard is what its script writes, and asks for what is exported."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "grafana.py"


@pytest.fixture
def dashboard(contrib: Path) -> dict[str, Any]:
    return dict(json.loads((contrib / "grafana/aerostat.json").read_text()))


def test_it_is_current() -> None:
    assert subprocess.run([sys.executable, SCRIPT, "--check"], check=False).returncode == 0


def test_it_asks_for_nothing_that_is_not_exported(
    dashboard: dict[str, Any], exported: set[str]
) -> None:
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        for name in re.findall(r"\b(?:aerostat|process)_\w+", target["expr"])
    }
    for variable in dashboard["templating"]["list"]:
        asked |= set(re.findall(r"aerostat_\w+", variable["query"]["query"]))

    assert len(asked) > 20
    assert asked <= exported


def test_every_panel_goes_by_the_variables_and_the_chosen_source(
    dashboard: dict[str, Any],
) -> None:
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    inputs = {wanted["name"] for wanted in dashboard["__inputs"]}
    text = json.dumps(dashboard["panels"] + dashboard["templating"]["list"])

    assert set(re.findall(r"\$\{(\w+)\}", text)) == inputs
    used = set(re.findall(r"\$([a-z]\w*)", text))
    assert used == variables
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            assert "$instance" in target["expr"]


def test_panels_lie_side_by_side(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in dashboard["panels"]]
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len(set(ids)) == len(ids)
