"""What the doctor finds of the manager and its accounts."""

from dataclasses import replace
from typing import Any

import pytest

from aerostat.daemon.snapshot import ConnectorRow, GuestRow, HostRow, ReservationRow, Snapshot
from aerostat.doctor.checks import CHECKS
from aerostat.doctor.findings import Finding, Level
from aerostat.doctor.manager import absent, manager_findings
from aerostat.units import GIB

TOTAL = 16 * GIB
HOST = HostRow(
    "localhost", budget=12 * GIB, available=8 * GIB, held=6 * GIB, permitted=9 * GIB, exposure=0
)
GUEST = GuestRow("qmp:/run/web1.qmp", "web1", "/run/web1.qmp", guarantee=GIB)
WELL = Snapshot(
    time=1.0,
    wall=1.0,
    mode="manage",
    tick_duration=0.01,
    hosts=(HOST,),
    guests=(GUEST,),
    journal="ok",
    connectors=(ConnectorRow("qmp", guests=1),),
)


def findings(snapshot: Snapshot) -> list[Finding]:
    found = manager_findings(snapshot, TOTAL)
    assert {finding.check for finding in found} <= CHECKS.keys()
    return found


def test_a_manager_that_is_well() -> None:
    assert {finding.level for finding in findings(WELL)} == {Level.OK}


@pytest.mark.parametrize(
    ("wrong", "check", "level"),
    [
        ({"mode": "observe"}, "mode", Level.INFO),
        ({"config_problem": "aerostat.toml:3: no"}, "config", Level.WARNING),
        ({"journal": "No space left on device"}, "journal", Level.WARNING),
        ({"tick_duration": 3.0}, "pace", Level.WARNING),
        ({"problems": ("the state file cannot be read",)}, "problem", Level.WARNING),
        (
            {"connectors": (ConnectorRow("libvirt", problem="not connected"),)},
            "connector",
            Level.CRITICAL,
        ),
        ({"connectors": (ConnectorRow("qmp"),)}, "connector", Level.WARNING),
        (
            {"connectors": (ConnectorRow("libvirt", guests=1, helper_restarts=2),)},
            "connector",
            Level.INFO,
        ),
        ({"guests": (replace(GUEST, guarantee=13 * GIB),)}, "guarantees", Level.CRITICAL),
        ({"hosts": (replace(HOST, budget=15 * GIB),)}, "reserve", Level.WARNING),
        ({"hosts": (replace(HOST, available=6 * GIB),)}, "reserve", Level.WARNING),
        ({"hosts": (replace(HOST, exposure=GIB),)}, "exposure", Level.WARNING),
        (
            {"reservations": (ReservationRow("new", GIB, 60.0, backed=False),)},
            "reservation",
            Level.INFO,
        ),
        (
            {"reservations": (ReservationRow("new", GIB, 60.0, backed=True),)},
            "reservation",
            Level.OK,
        ),
    ],
)
def test_what_is_wrong(wrong: dict[str, Any], check: str, level: Level) -> None:
    found = findings(replace(WELL, **wrong))

    assert max(finding.level for finding in found if finding.check == check) is level
    assert max(finding.level for finding in found) is level


def test_one_problem_is_told_once() -> None:
    problem = "aerostat.toml:3: no"
    snapshot = replace(
        WELL,
        config_problem=problem,
        problems=(problem, "connector qmp: gone"),
        connectors=(ConnectorRow("qmp", guests=1, problem="gone"),),
    )
    assert [finding.check for finding in findings(snapshot) if finding.level > Level.INFO] == [
        "config",
        "connector",
    ]


def test_a_guest_that_is_not_managed_has_no_guarantee() -> None:
    guest = replace(GUEST, guarantee=13 * GIB, managed=False)
    assert {finding.level for finding in findings(replace(WELL, guests=(guest,)))} == {Level.OK}


def test_before_the_first_accounts_there_is_nothing_to_say_of_them() -> None:
    found = findings(replace(WELL, hosts=(HostRow("localhost"),)))
    assert not {"guarantees", "reserve", "exposure"} & {finding.check for finding in found}


def test_no_manager() -> None:
    (found,) = absent("nobody listens")
    assert (found.level, found.text) == (Level.WARNING, "nobody listens")
    assert "systemctl enable --now aerostat" in str(found.mend)
