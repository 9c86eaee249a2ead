"""``aerostat check driver`` against drivers that keep what can be seen: Linux's, and our own."""

import json
from typing import Any

import pytest

from aerostat.cli.main import invoke
from aerostat.testing.check.driver.all_checks import CHECKS


def check(guest: str, *options: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command; return its JSON, and see that its exit code says the same."""
    code = invoke(["check", "driver", "--guest", guest, *options, "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["status"] == code
    return report


def wrong(report: Any) -> set[tuple[str, str]]:
    """Return what is violated, and is not known to be."""
    return {
        (one["id"], verdict["words"])
        for one in report["statements"]
        for verdict in one["verdicts"]
        if verdict["outcome"] in ("fail", "warning")
    }


def kept(report: Any) -> set[str]:
    """Return the statements that were seen kept."""
    return {one["id"] for one in report["statements"] if one["outcome"] == "pass"}


# What takes a guest of its own; `make check-drivers` plays it with Linux, too.
_ALONE = (
    "bears-a-silent-device",
    "bears-absurd-targets",
    "survives-a-used-index-that-jumps",
    "survives-the-loss-of-its-device",
    "survives-wrong-used-elements",
)
_LONG = (
    *_ALONE,
    "does-with-few-features",
    "follows-targets-without-must-tell-host",
    "ignores-the-used-length",
    "keeps-the-balloon-without-deflate-on-oom",
    "leaves-pages-alone-while-it-reports-them",
    "works-on-packed-rings",
)


@pytest.mark.uml
@pytest.mark.statement("USE-DRV-1", "USE-DRV-2", "ST-DRV-6", "BAD-DRV-1", "BAD-DRV-3", "BAD-DRV-7")
def test_linux_keeps_what_can_be_seen_in_one_start(capsys: pytest.CaptureFixture[str]) -> None:
    report = check("uml", "--skip", ",".join(_LONG), capsys=capsys)
    assert wrong(report) == set()
    assert len(kept(report)) >= 35
    assert {"DRV-OP-7", "DRV-OP-9", "DRV-STATS-1", "DRV-HINT-10", "BAD-DRV-3"} <= kept(report)


@pytest.mark.slow
@pytest.mark.statement("BAD-DRV-2", "BAD-DRV-4", "BAD-DRV-5", "BAD-DRV-6")
def test_a_process_guest_lives_through_bad_devices(capsys: pytest.CaptureFixture[str]) -> None:
    report = check("process", "--only", ",".join(_ALONE[1:]), capsys=capsys)
    assert wrong(report) == set()
    assert {"BAD-DRV-2", "BAD-DRV-6"} == kept(report)


def test_every_statement_on_drivers_is_checked_or_it_is_said_why_not() -> None:
    checked = {id_ for check in CHECKS.checks for id_ in check.ids}
    assert checked | CHECKS.unobservable.keys() == set(CHECKS.statements)
    assert not checked & CHECKS.unobservable.keys()
