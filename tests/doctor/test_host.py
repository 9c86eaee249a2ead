"""What the doctor finds of the host."""

from typing import Any

import pytest

from aerostat.doctor.findings import Finding, Level
from aerostat.doctor.host import host_findings, promised_finding
from aerostat.host.budget import HostReading
from aerostat.host.mounts import CgroupMounts
from aerostat.host.numa import NodeMemory
from aerostat.host.survey import Survey
from aerostat.units import GIB, MIB


def worst(findings: list[Finding]) -> Level:
    return max(finding.level for finding in findings)


def only(findings: list[Finding], check: str) -> Finding:
    (found,) = (finding for finding in findings if finding.check == check)
    return found


def test_a_host_that_is_well(survey: Survey, reading: HostReading) -> None:
    found = host_findings(survey, reading)

    assert worst(found) is Level.OK
    assert {finding.subject for finding in found} == {"host"}
    assert all(finding.mend is None for finding in found)


@pytest.mark.parametrize(
    ("wrong", "check", "level", "mend"),
    [
        ({"pressure": False}, "pressure", Level.WARNING, "psi=1"),
        ({"trigger": False}, "trigger", Level.INFO, "Linux 6.5"),
        ({"release": "4.18.0"}, "kernel", Level.WARNING, "upgrade"),
        ({"release": "?"}, "kernel", Level.INFO, None),
        ({"overcommit": 2}, "overcommit", Level.WARNING, "sysctl -w vm.overcommit_memory=0"),
        ({"memory_cgroups": False}, "cgroup", Level.INFO, "unified_cgroup_hierarchy=1"),
        ({"zswap": True}, "zswap", Level.INFO, None),
        ({"zram": ("/dev/zram0",)}, "zram", Level.INFO, None),
        ({"shared_pages": GIB}, "ksm", Level.INFO, None),
        ({"arc": 4 * GIB}, "zfs_arc", Level.WARNING, "options zfs zfs_arc_max="),
    ],
)
def test_how_it_is_set_up(
    survey: Survey,
    reading: HostReading,
    wrong: dict[str, Any],
    check: str,
    level: Level,
    mend: str | None,
) -> None:
    found = only(host_findings(survey._replace(**wrong), reading), check)

    assert found.level is level
    assert (found.mend is None) if mend is None else (mend in str(found.mend))


@pytest.mark.parametrize(
    ("wrong", "check", "level"),
    [
        ({"available": 100 * MIB}, "memory", Level.CRITICAL),
        ({"pressure": 0.05}, "pressure", Level.WARNING),
        ({"pressure": 0.5}, "pressure", Level.CRITICAL),
        ({"swap_total": 0, "swap_free": 0}, "swap", Level.WARNING),
        ({"swap_free": GIB}, "swap", Level.WARNING),
        ({"swap_out": 8.0 * MIB}, "swap", Level.WARNING),
        ({"huge_pages": 8 * GIB}, "huge_pages", Level.INFO),
    ],
)
def test_how_it_fares(
    survey: Survey, reading: HostReading, wrong: dict[str, Any], check: str, level: Level
) -> None:
    assert only(host_findings(survey, reading._replace(**wrong)), check).level is level


def test_a_node_in_need_beside_others(survey: Survey, reading: HostReading) -> None:
    full, free = NodeMemory(0, GIB, 0, MIB), NodeMemory(1, GIB, GIB // 2, 0)
    alone = host_findings(survey, reading._replace(nodes=(full,)))
    beside = host_findings(survey, reading._replace(nodes=(full, free)))

    assert not any(finding.check == "numa" for finding in alone)
    assert only(beside, "numa").level is Level.WARNING
    assert "node 0 " in only(beside, "numa").text


def test_a_version_1_host_says_where_it_stands(survey: Survey, reading: HostReading) -> None:
    old = survey._replace(memory_cgroups=False, cgroups=CgroupMounts(None, None))
    assert "memory.high" in only(host_findings(old, reading), "cgroup").text


def test_what_is_promised(reading: HostReading) -> None:
    assert promised_finding(8 * GIB, reading).level is Level.OK
    assert "2.00 times" in promised_finding(32 * GIB, reading).text
