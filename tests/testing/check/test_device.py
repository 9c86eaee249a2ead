"""``aerostat check device`` against our own device, which keeps all that can be seen."""

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from aerostat.cli.main import invoke
from aerostat.testing.check.device.all_checks import CHECKS, PACKED


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    """Return the arguments that check our device, which the kit starts."""
    socket = str(tmp_path / "device")
    options = ["--control", str(tmp_path / "control"), "--size", "256MiB"]
    options += ["--free-page-hint", "--packed-rings"]
    command = [sys.executable, "-P", "-m", "aerostat.device", "--socket", socket, *options]
    return ["device", socket, "--", *command]


def check(program: list[str], *options: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command; return its JSON, and see that its exit code says the same."""
    code = invoke(["check", program[0], *options, "--json", *program[1:]])
    report = json.loads(capsys.readouterr().out)
    assert report["status"] == code
    return report


@pytest.mark.slow
@pytest.mark.statement("VU-DEV-1", "VU-DEV-2", "VU-DEV-3", "VU-DEV-4", "VU-DEV-5", "VU-DEV-6")
@pytest.mark.statement("VU-DEV-7", "VU-DEV-8", "VU-DEV-9", "VU-DEV-10", "VU-DEV-11", "VU-DEV-12")
@pytest.mark.statement("VU-DEV-13", "USE-DEV-1", "USE-DEV-2", "USE-DEV-3", "USE-DEV-4")
@pytest.mark.statement("BAD-DEV-1", "BAD-DEV-2", "BAD-DEV-3", "BAD-DEV-4", "BAD-DEV-5")
@pytest.mark.statement("BAD-DEV-6", "PK-1", "PK-3", "PK-6", "DEV-HINT-3")
@pytest.mark.statement("BAD-VU-1", "BAD-VU-2", "BAD-VU-3", "BAD-VU-4", "BAD-VU-5")
def test_our_device_keeps_all_that_can_be_seen(
    program: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junit = tmp_path / "junit.xml"
    report = check(program, "--junit", str(junit), capsys=capsys)
    wrong = {
        (one["id"], verdict["words"], verdict["check"])
        for one in report["statements"]
        for verdict in one["verdicts"]
        if verdict["outcome"] not in ("pass", "unobservable", "skipped")
    }
    assert wrong == set()
    kept = {one["id"] for one in report["statements"] if one["outcome"] == "pass"}
    assert len(kept) >= 60
    assert {"DEV-OP-2", "USE-DEV-1", "BAD-DEV-6", "BAD-VU-5"} <= kept
    suites = ET.fromstring(junit.read_text(encoding="utf-8"))
    assert len(suites.findall("testsuite/testcase")) >= len(CHECKS.checks)
    assert suites.findall("testsuite/testcase/failure") == []


def test_every_statement_on_devices_is_checked_or_it_is_said_why_not() -> None:
    checked = {id_ for check in CHECKS.checks for id_ in check.ids}

    assert checked | CHECKS.unobservable.keys() == set(CHECKS.statements)
    assert checked & CHECKS.unobservable.keys() == set()
    assert all(CHECKS.unobservable.values())


def test_checks_can_be_told_apart() -> None:
    titles = [check.title for check in CHECKS.checks]
    assert len(set(titles)) == len(titles)


def test_packed_rings_are_played_by_checks_of_rings() -> None:
    ids = {id_ for check in PACKED.checks for id_ in check.ids}

    assert {"DEV-OP-3", "DEV-STATS-3", "DEV-REP-2", "VU-DEV-6", "PK-3", "BAD-DEV-6"} <= ids
    assert not any(id_.startswith(("BAD-VU", "LEG-", "ST-DEV-5")) for id_ in ids)
    assert {check.name for check in PACKED.checks} <= {check.name for check in CHECKS.checks}
