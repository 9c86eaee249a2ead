"""What the host says of itself, read from text of real hosts and from this one."""

import mmap
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.errors import MissingError, UsageError
from aerostat.host.budget import Budget, HostReading, read_host
from aerostat.host.held import held_by, parse_held
from aerostat.host.meminfo import HostMemory, parse_meminfo, read_meminfo
from aerostat.host.pressure import Pressure, parse_pressure, read_pressure
from aerostat.host.proc import parse_sizes

MEMINFO = """\
MemTotal:       16310492 kB
MemFree:         1058792 kB
MemAvailable:    9230384 kB
Active(anon):     123456 kB
HugePages_Total:       7
Hugetlb:           14336 kB
SwapTotal:          2048 kB
SwapFree:           4096 kB
"""
PRESSURE = """\
some avg10=12.50 avg60=0.22 avg300=0.07 total=2500000
full avg10=1.00 avg60=0.12 avg300=0.04 total=1250000
"""
STATUS = (
    "Name:\tqemu\nVmRSS:\t  900 kB\nRssAnon:\t  400 kB\nRssFile:\t  300 kB\nRssShmem:\t  200 kB\n"
)
TEXT = st.text(st.sampled_from("MemTotal: 19kB\n\0é-"), max_size=60) | st.text(max_size=30)


def test_meminfo_is_read_in_bytes() -> None:
    memory = parse_meminfo(MEMINFO)
    assert memory[:2] == (16310492 * 1024, 9230384 * 1024)
    assert memory.huge_pages == 14336 * 1024
    # More swap free than there is cannot be.
    assert memory.swap_free == memory.swap_total == 2048 * 1024


@pytest.mark.parametrize("name", ["MemTotal", "MemAvailable"])
def test_a_missing_line_is_named(name: str) -> None:
    with pytest.raises(MissingError, match=f"no {name}"):
        parse_meminfo(MEMINFO.replace(name, "Other"))


def test_available_is_never_more_than_there_is() -> None:
    """Containers that fake one line of the file exist."""
    text = "MemTotal: 100 kB\nMemAvailable: 900 kB\n"
    assert parse_meminfo(text) == HostMemory(100 * 1024, 100 * 1024)


def test_names_with_brackets_are_names() -> None:
    assert parse_sizes(MEMINFO, {"Active(anon)"}) == {"Active(anon)": 123456 * 1024}


@given(TEXT)
def test_junk_is_survived(text: str) -> None:
    assert parse_pressure(text) is None
    assert parse_held(text) is None
    with pytest.raises(MissingError):
        parse_meminfo(text.replace("MemTotal", ""))


def test_this_host(tmp_path: Path) -> None:
    memory = read_meminfo()
    assert 0 < memory.available <= memory.total
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory.total == pytest.approx(pages, rel=0.01)
    with pytest.raises(MissingError, match="how much memory"):
        read_meminfo(tmp_path / "nothing")


def test_a_fixed_budget_does_not_follow_the_host() -> None:
    assert Budget(size=70).reading(HostMemory(100, 5), held=90) == HostReading(70, 100, 5)


@pytest.mark.parametrize(
    ("available", "held", "budget"),
    [
        (50, 30, 70),  # of 100, 20 are used by the host itself, and 10 are its reserve
        (80, 0, 70),  # the guests gave all back: the same budget
        (5, 0, 0),  # nothing is left but the reserve
        (90, 90, 90),  # two moments: guests cannot hold more than there is
    ],
)
def test_all_but_a_reserve(available: int, held: int, budget: int) -> None:
    reading = Budget(reserve=10).reading(HostMemory(100, available), held)
    assert reading == HostReading(budget, 100, available)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"size": 0}, {"size": -1}, {"reserve": -1}, {"size": 5, "reserve": 1}),
        {"size": 5, "cgroup": "machine.slice"},
    ],
)
def test_impossible_budgets_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Budget(**wrong)


def test_the_budget_is_read_from_the_host(tmp_path: Path) -> None:
    path = tmp_path / "meminfo"
    path.write_text(MEMINFO)
    reading = read_host(Budget(reserve=1024), held=2048, path=path)
    assert reading.budget == 9230384 * 1024 + 1024


def test_held_leaves_out_the_pages_of_files() -> None:
    assert parse_held(STATUS) == 600 * 1024
    assert parse_held(STATUS + "HugetlbPages:\t    2048 kB\n") == (600 + 2048) * 1024


def test_held_follows_what_this_process_touches() -> None:
    size = 32 << 20
    before = held_by(os.getpid())
    with mmap.mmap(-1, size, flags=mmap.MAP_SHARED) as memory:
        for offset in range(0, size, mmap.PAGESIZE):
            memory[offset] = 1
        after = held_by(os.getpid())
    assert before is not None
    assert after is not None
    assert size * 0.9 < after - before < size * 1.5


def test_a_process_that_is_gone_holds_nothing_known(tmp_path: Path) -> None:
    assert held_by(1, tmp_path) is None


def test_pressure_is_ratios_and_seconds() -> None:
    assert parse_pressure(PRESSURE) == Pressure(0.125, 2.5, 0.01, 1.25)


def test_a_host_without_pressure_tells_none(tmp_path: Path) -> None:
    assert read_pressure(tmp_path / "memory") is None
