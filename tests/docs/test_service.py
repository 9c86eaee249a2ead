"""docs/service.md: its tables are of what there is, and what it installs is what is installed."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aerostat.daemon.snapshot import Snapshot
from aerostat.metrics.exposition import exposition
from aerostat.metrics.tally import Tally

PAGE = "docs/service.md"
ROOT = Path(__file__).resolve().parents[2]


def test_all_metrics_are_told(document: Callable[[str], Any]) -> None:
    text = exposition(Snapshot(0.0, 0.0), Tally()).decode()
    exported = set(re.findall(r"^# TYPE (aerostat_\S+)", text, re.MULTILINE))

    assert document(PAGE).table("series").keys() == exported | {"process_…"}


def test_all_alerts_are_told(document: Callable[[str], Any]) -> None:
    rules = (ROOT / "contrib/prometheus/alerts.rules.yml").read_text()

    assert list(document(PAGE).table("alert")) == re.findall(r"alert: (\w+)", rules)


def test_all_that_is_installed_is_told(document: Callable[[str], Any]) -> None:
    script = (ROOT / "install.sh").read_text()
    places = dict(re.findall(r"^(\w+)=(/\S+)$", script, re.MULTILINE))
    copied = re.findall(r'^    echo "contrib/\S+ (\S+)"$', script, re.MULTILINE)
    told = "".join(cell for row in document(PAGE).table("what").values() for cell in row)

    assert len(copied) == 3
    for path in copied:
        assert path.replace("$local", places["local"]) in told
    assert places["home"] in document(PAGE).text
    assert f"{places['config']}/aerostat.toml" in told
