"""What `stats` prints has the shape of `virsh dommemstat`."""

import shutil
import subprocess

import pytest

from aerostat.balloon.statistics import NAMES, Tag
from aerostat.cli.statistics import stats_lines
from aerostat.daemon.snapshot import GuestRow
from aerostat.units import GIB, KIB, MIB

WHOLE = {
    Tag.SWAP_IN: 4 * KIB,
    Tag.SWAP_OUT: 8 * KIB,
    Tag.MAJOR_FAULTS: 11,
    Tag.MINOR_FAULTS: 12,
    Tag.FREE_MEMORY: 100 * MIB,
    Tag.TOTAL_MEMORY: 480 * MIB,
    Tag.AVAILABLE_MEMORY: 300 * MIB,
    Tag.DISK_CACHES: 200 * MIB,
    Tag.HUGETLB_ALLOCATIONS: 13,
    Tag.HUGETLB_FAILURES: 14,
    Tag.OOM_KILLS: 1,
    Tag.ALLOC_STALLS: 2,
    Tag.ASYNC_SCANS: 3 * KIB,
    Tag.DIRECT_SCANS: 4 * KIB,
    Tag.ASYNC_RECLAIMS: 5 * KIB,
    Tag.DIRECT_RECLAIMS: 6 * KIB,
}


def guest(**changes: object) -> GuestRow:
    values = {
        "key": "qmp:/a",
        "name": "a",
        "source": "qmp",
        "max_size": GIB,
        "guest_size": 512 * MIB,
        "held": 400 * MIB,
        "sample_age": 2.0,
        "statistics": {NAMES[tag]: value for tag, value in WHOLE.items()} | {"tag-99": 5},
    }
    return GuestRow(**(values | changes))  # type: ignore[arg-type]


def pairs(row: GuestRow, wall: float = 1000.0, **how: object) -> dict[str, str]:
    lines = list(stats_lines(row, wall, **how))  # type: ignore[arg-type]
    found = dict(line.split(" ", 1) for line in lines)
    assert len(found) == len(lines), "a key stands once"
    return found


def test_the_first_lines_are_virsh_s_by_name_order_and_unit() -> None:
    first = list(pairs(guest()).items())[:13]
    assert first == [
        ("actual", "524288"),
        ("swap_in", "4"),
        ("swap_out", "8"),
        ("major_fault", "11"),
        ("minor_fault", "12"),
        ("unused", "102400"),
        ("available", "491520"),
        ("usable", "307200"),
        ("last_update", "998"),
        ("disk_caches", "204800"),
        ("hugetlb_pgalloc", "13"),
        ("hugetlb_pgfail", "14"),
        ("rss", "409600"),
    ]


@pytest.mark.skipif(shutil.which("virsh") is None, reason="virsh is not installed")
def test_the_names_and_their_order_are_those_that_virsh_prints() -> None:
    shown = subprocess.run(
        ["virsh", "-c", "test:///default", "dommemstat", "test"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    virsh = [line.split()[0] for line in shown.stdout.splitlines() if line.strip()]
    assert virsh == list(pairs(guest()))[: len(virsh)]


def test_then_comes_all_else_that_is_known() -> None:
    found = pairs(guest(condition="stuck", condition_since=45.0, way="queue", uuid="u-1"))
    assert (found["oom_kills"], found["alloc_stalls"], found["async_scans"]) == ("1", "2", "3")
    assert (found["tag-99"], found["max_size"]) == ("5", "1048576")
    assert (found["condition"], found["condition_since"]) == ("stuck", "45.000")
    assert (found["way"], found["uuid"], found["held_by_operator"]) == ("queue", "u-1", "no")


def test_what_is_not_known_is_left_out_as_virsh_does() -> None:
    found = pairs(guest(statistics={}, held=None, sample_age=None))
    assert {"swap_in", "rss", "last_update", "oom_kills", "pressure"} & set(found) == set()
    assert found["actual"] == "524288"


def test_other_units() -> None:
    assert pairs(guest(), unit="bytes")["usable"] == str(300 * MIB)
    assert pairs(guest(), unit="human")["usable"] == "300 MiB"
    assert pairs(guest(), unit="human")["major_fault"] == "11"
    assert pairs(guest(), unit="bytes")["direct_reclaims"] == str(6 * KIB)


def test_text_from_elsewhere_is_clean() -> None:
    found = pairs(guest(condition="a\nb", statistics={"x\x1b[2J": 1}))
    assert found["condition"] == "a?b"
    assert found["x?[2J"] == "1"
