"""What the doctor finds of a guest: how it is set up, and how it fares."""

import shlex
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.daemon.names import clean_name
from aerostat.doctor import mending
from aerostat.doctor.checks import CHECKS
from aerostat.doctor.condition import condition_findings
from aerostat.doctor.findings import Finding, Level
from aerostat.doctor.guest import GuestFacts, setup_findings
from aerostat.hypervisors.base import Examination
from aerostat.units import GIB, MIB

Make = Callable[..., GuestFacts]
OLD_FIGURES = {"free_memory": GIB, "available_memory": GIB}
SILENT: dict[str, Any] = {"statistics": {}, "condition": "silent", "set_up_statistics": None}


def findings(facts: GuestFacts) -> dict[str, Finding]:
    found = [*condition_findings(facts), *setup_findings(facts)]
    assert {finding.check for finding in found} <= CHECKS.keys()
    assert {finding.subject for finding in found} == {"web1"}
    return {finding.check: finding for finding in found}


def test_a_guest_that_is_well(guest: Make) -> None:
    found = findings(guest())

    assert {finding.level for finding in found.values()} == {Level.OK}
    assert {"reached", "condition", "balloon", "driver", "figures"} < found.keys()


@pytest.mark.parametrize(
    ("wrong", "check", "level", "mend"),
    [
        ({"set_up_balloon": False}, "balloon", Level.CRITICAL, "-device virtio-balloon-pci"),
        ({"set_up_running": False}, "power", Level.INFO, None),
        (SILENT | {"set_up_driver": False}, "driver", Level.CRITICAL, "modprobe"),
        (SILENT | {"set_up_driver": None}, "driver", Level.CRITICAL, "virtio-win"),
        # A Windows guest without the service: its driver answers, or its size has moved.
        (SILENT, "statistics", Level.WARNING, "blnsvr.exe -i"),
        (
            SILENT | {"set_up_driver": None, "guest_size": GIB},
            "statistics",
            Level.WARNING,
            "blnsvr.exe -i",
        ),
        (
            SILENT | {"set_up_interval": 0, "set_up_kind": "libvirt"},
            "period",
            Level.WARNING,
            "virsh dommemstat web1 --period 5 --live --config",
        ),
        # Figures of long ago are left, and nobody asks for newer ones.
        ({"condition": "silent", "set_up_interval": 0}, "period", Level.WARNING, None),
        ({"statistics": OLD_FIGURES}, "figures", Level.INFO, "6.12"),
        ({"statistics": {"free_memory": 1}}, "figures", Level.WARNING, "4.6"),
        ({"way": "agent", "set_up_statistics": None}, "way", Level.WARNING, "modprobe"),
        ({"set_up_agent": "blocked"}, "agent", Level.INFO, "/etc/sysconfig/qemu-ga"),
        (SILENT | {"set_up_agent": "blocked"}, "agent", Level.WARNING, "/etc/qemu/qemu-ga.conf"),
        (SILENT | {"set_up_agent": "absent"}, "agent", Level.INFO, "qemu-guest-agent"),
        ({"set_up_passthrough": True}, "passthrough", Level.WARNING, "managed = false"),
        ({"set_up_huge_pages": True}, "guest_huge_pages", Level.WARNING, "hugetlb=on"),
        ({"set_up_locked_memory": True}, "locked_memory", Level.WARNING, "mem-lock=on"),
        ({"set_up_deflate_on_oom": False}, "deflate_on_oom", Level.WARNING, "deflate-on-oom=on"),
        (
            {"set_up_deflate_on_oom": False, "set_up_kind": "libvirt"},
            "deflate_on_oom",
            Level.WARNING,
            "autodeflate='on'",
        ),
        ({"set_up_free_page_reporting": False}, "free_page_reporting", Level.INFO, "reporting=on"),
        ({"set_up_swap": False}, "guest_swap", Level.INFO, "mkswap"),
        ({"set_up_swap": False, "host_swaps": False}, "guest_swap", Level.WARNING, "mkswap"),
        ({"total_memory": GIB}, "whole_memory", Level.WARNING, "auto_online_blocks"),
        ({"total_memory": 5 * GIB}, "whole_memory", Level.WARNING, None),
        ({"set_up_may_change": False, "managing": True}, "permission", Level.WARNING, None),
        ({"examination": None, "problem": "no answer"}, "set_up", Level.INFO, None),
        ({"condition": "stale"}, "condition", Level.WARNING, None),
        ({"condition": "silent"}, "condition", Level.WARNING, "modprobe"),
        ({"condition": "implausible"}, "condition", Level.WARNING, "look into the guest"),
        ({"condition": "stuck"}, "condition", Level.WARNING, "virtio_balloon"),
        ({"condition": "useless"}, "condition", Level.WARNING, "managed = false"),
        ({"condition": "exempt"}, "condition", Level.INFO, None),
        ({"condition": "draining"}, "condition", Level.OK, None),
        ({"held_by_operator": True}, "condition", Level.INFO, "aerostat resume web1"),
        ({"pressure": 0.9}, "distress", Level.WARNING, "aerostat explain web1"),
        (
            {"statistics": OLD_FIGURES | {"alloc_stalls": 0, "oom_kills": 2}},
            "distress",
            Level.INFO,
            "guarantee",
        ),
        ({"guarantee": 5 * GIB}, "below_guarantee", Level.WARNING, "aerostat run"),
        ({"held": None}, "held", Level.INFO, None),
        ({"error": "no answer within 1 s"}, "reached", Level.WARNING, None),
    ],
)
def test_what_is_wrong(
    guest: Make, wrong: dict[str, Any], check: str, level: Level, mend: str | None
) -> None:
    found = findings(guest(**wrong))

    assert found[check].level is level
    assert (found[check].mend is None) if mend is None else (mend in str(found[check].mend))
    # Nothing else is worse: one fault is told once.
    assert max(finding.level for finding in found.values()) <= max(level, Level.WARNING)


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        ("/run/web1.qmp has not greeted yet; another client may hold it", "/run/web1.qmp2,server"),
        ("/run/web1.qmp: Permission denied", "setfacl -m u:aerostat:rw /run/web1.qmp"),
        ("this guest has no virtio-balloon device (-device …)", "-device virtio-balloon-pci"),
        ("connection lost", None),
    ],
)
def test_a_guest_that_cannot_be_reached(guest: Make, error: str, mend: str | None) -> None:
    found = findings(guest(condition="unreachable", error=error, examination=None, statistics={}))
    reached = found["reached"]

    assert reached.level is Level.CRITICAL
    assert error in reached.text
    assert (reached.mend is None) if mend is None else (mend in str(reached.mend))


def test_the_reason_why_it_cannot_be_reached_is_told_once(guest: Make) -> None:
    error = "this guest has no virtio-balloon device"
    lost = {"condition": "unreachable", "error": error, "statistics": {}}

    assert list(findings(guest(**lost, set_up_balloon=False))) == ["balloon"]
    assert list(findings(guest(**lost, set_up_running=False))) == ["power"]


def test_who_is_not_asked_is_not_blamed(guest: Make) -> None:
    found = findings(guest(**SILENT, set_up_interval=0, set_up_driver=None))
    assert {check for check in found if found[check].level > Level.OK} == {"period"}


def test_a_period_of_0_is_well_where_others_ask(guest: Make) -> None:
    assert "period" not in findings(guest(set_up_interval=0))


def test_a_crash_kernel_keeps_some_memory(guest: Make) -> None:
    kept = guest(total_memory=4 * GIB - 512 * MIB)
    assert findings(kept)["whole_memory"].level is Level.OK


def test_what_the_connector_says_comes_first(guest: Make) -> None:
    said = guest(set_up_locked_memory=True, set_up_mending={"locked_memory": "turn\n  the \x1bkey"})
    mend = str(findings(said)["locked_memory"].mend)
    assert mend.startswith("turn\n  the ")
    assert "\x1b" not in mend


def test_who_only_observes_needs_no_permission(guest: Make) -> None:
    assert "permission" not in findings(guest(set_up_may_change=False))


@given(st.text(max_size=40))
@settings(max_examples=15)
def test_names_are_quoted(name: str) -> None:
    name = clean_name(name)
    assert tomllib.loads(mending.exempt(name)) == {"guest": {name: {"managed": False}}}
    assert shlex.split(mending.resume(name)) == ["aerostat", "resume", name]
    examination = Examination("libvirt:1", "libvirt")
    period = str(mending.of(examination, "interval", name))
    assert shlex.split(period)[:3] == ["virsh", "dommemstat", name]
