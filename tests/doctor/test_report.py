"""How what was found is shown, and what exit code it comes to."""

import json
from dataclasses import replace

import pytest

from aerostat.doctor.findings import Finding, Level, status
from aerostat.doctor.report import lines, summary, to_json

FOUND = [
    Finding("host", "kernel", Level.OK, "Linux"),
    Finding("host", "memory", Level.OK, "8 GiB"),
    Finding("host", "swap", Level.WARNING, "there is none", "mkswap\nswapon"),
    Finding("web1", "driver", Level.CRITICAL, "nothing answers"),
]


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        ((), 0),
        ((Level.OK, Level.INFO), 0),
        ((Level.INFO, Level.WARNING), 1),
        ((Level.CRITICAL, Level.WARNING), 2),
    ],
)
def test_exit_codes(levels: tuple[Level, ...], code: int) -> None:
    assert status(Finding("host", "memory", level, "") for level in levels) == code


def test_lines_by_subject() -> None:
    assert [line.text for line in lines(FOUND)] == [
        "host",
        "  ✔ kernel  Linux",
        "  ✔ memory  8 GiB",
        "  ! swap    there is none",
        "            mkswap",
        "            swapon",
        "web1",
        "  ✖ driver  nothing answers",
    ]


def test_what_mends_two_faults_is_told_once_a_subject() -> None:
    one = Finding("web1", "balloon", Level.WARNING, "off", "-device …")
    other, elsewhere = replace(one, check="agent"), replace(one, subject="web2")
    told = [line.text.strip() for line in lines([one, other, elsewhere])]
    assert told == [
        *("web1", "! balloon  off", "-device …", "! agent    off", "the same as for balloon"),
        *("web2", "! balloon  off", "-device …"),
    ]


def test_quiet_leaves_out_what_is_well() -> None:
    assert [line.text for line in lines(FOUND, quiet=True)][:2] == [
        "host",
        "  ! swap    there is none",
    ]
    assert lines(FOUND[:1], quiet=True) == []


def test_the_summary() -> None:
    assert summary(FOUND) == "4 checks: 1 critical, 1 warning"
    assert summary(FOUND[:1]) == "1 check: all is well"


def test_json() -> None:
    told = json.loads(json.dumps(to_json(FOUND)))

    assert (told["schema"], told["status"]) == (1, 2)
    assert told["findings"][2] == {
        "subject": "host",
        "check": "swap",
        "level": "warning",
        "text": "there is none",
        "mend": "mkswap\nswapon",
    }
