"""Rules ask for what is exported; each alert fires when it should, and not otherwise."""

import dataclasses
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from aerostat.balloon.statistics import NAMES
from aerostat.daemon.snapshot import (
    ConnectorRow,
    GuestRow,
    HostRow,
    ReservationRow,
    Snapshot,
)
from aerostat.metrics.exposition import exposition
from aerostat.metrics.tally import Tally

Row = TypeVar("Row")

# A histogram's samples have longer names.
CYCLES = b"aerostat_policy_cycle_duration_seconds"


@pytest.fixture
def rules(contrib: Path) -> str:
    return "".join(path.read_text() for path in contrib.glob("prometheus/*.rules.yml"))


def test_rules_ask_for_nothing_that_is_not_exported(rules: str, exported: set[str]) -> None:
    asked = set(re.findall(r"(?<![:\w])aerostat_\w+", re.sub(r"record: \S+", "", rules)))

    assert len(asked) > 20
    assert asked <= exported


def test_every_alert_is_tested_both_ways(contrib: Path, rules: str) -> None:
    tests = (contrib / "prometheus/alerts.test.yml").read_text()
    alerts = re.findall(r"alert: (\w+)", rules)
    quiet = re.findall(r"alertname: (\w+)\n +eval_time: \S+\n +exp_alerts: \[\]", tests)
    firing = re.findall(r"alertname: (\w+)\n +eval_time: \S+\n +exp_alerts:\n", tests)

    assert len(alerts) == len(set(alerts))
    assert set(alerts) == set(quiet) == set(firing)


@pytest.mark.slow
def test_rules_are_what_prometheus_reads(contrib: Path, promtool: str) -> None:
    files = sorted(contrib.glob("prometheus/*.rules.yml"))
    check(promtool, "check", "rules", "--lint=all", "--lint-fatal", *files)


@pytest.mark.slow
def test_alerts_fire_when_they_should_and_not_otherwise(contrib: Path, promtool: str) -> None:
    check(promtool, "test", "rules", contrib / "prometheus/alerts.test.yml")


@pytest.mark.slow
def test_metrics_are_named_as_prometheus_wants_them(promtool: str) -> None:
    # It looks at what has samples, so everything has to be known.
    texts = {"uuid": "u", "connector": "c", "way": "queue", "error": None}
    guest = filled(GuestRow, **texts, statistics=dict.fromkeys(NAMES.values(), 1))
    whole = Snapshot(
        0.0,
        0.0,
        hosts=(filled(HostRow),),
        guests=(guest,),
        journal="ok",
        reservations=(ReservationRow("r", 1, 1.0, backed=True),),
        connectors=(filled(ConnectorRow, problem=None),),
        config_loaded_wall=1.0,
    )
    text = exposition(whole, Tally())
    check(promtool, "check", "metrics", text=text)

    without = set(re.findall(rb"^# TYPE (\S+)", text, re.MULTILINE))
    without -= set(re.findall(rb"^(\w+)", text, re.MULTILINE))
    assert without == {b"aerostat_policy_decisions_total", CYCLES}
    with pytest.raises(AssertionError, match="total"):
        check(
            promtool,
            "check",
            "metrics",
            text=b"# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n",
        )


def filled(kind: Callable[..., Row], **said: Any) -> Row:
    """Return a row with 1 for all that is not known unless it is said."""
    fields = dataclasses.fields(cast("type", kind))
    known = {field.name: 1 for field in fields if field.default is None}
    wanted = {field.name: "x" for field in fields if field.default is field.default_factory}
    return kind(**wanted | known | said)


def check(*command: str | Path, text: bytes | None = None) -> None:
    done = subprocess.run(command, input=text, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
