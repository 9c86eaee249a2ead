"""The statistics of /proc: every tag from its counter, in Linux's units."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.balloon.statistics import Tag, encode, parse
from aerostat.errors import MissingError
from aerostat.guest.procfs import (
    WIRE_ORDER,
    ProcFiles,
    collect,
    parse_meminfo,
    parse_vmstat,
)

PAGE = 4096

VMSTAT = """\
nr_free_pages 1
nr_file_pages 7
pswpin 3
pswpout 4
allocstall_dma 1
allocstall_dma32 2
allocstall_normal 4
allocstall_movable 8
pgfault 1000
pgmajfault 10
pgsteal_kswapd 14
pgsteal_direct 15
pgscan_kswapd 12
pgscan_direct 13
pgscan_direct_throttle 99
oom_kill 5
htlb_buddy_alloc_success 8
htlb_buddy_alloc_fail 9
"""

MEMINFO = """\
MemTotal:        1000 kB
MemFree:          100 kB
MemAvailable:     300 kB
Buffers:           10 kB
Cached:            20 kB
SwapCached:         3 kB
HugePages_Total:       2
"""


def statistics(**options: object) -> dict[int, int]:
    return collect(
        parse_vmstat(VMSTAT),
        parse_meminfo(MEMINFO),
        page_size=PAGE,
        **options,  # type: ignore[arg-type]
    )


def test_each_tag_has_its_counter_in_linux_s_unit() -> None:
    assert statistics() == {
        Tag.SWAP_IN: 3 * PAGE,
        Tag.SWAP_OUT: 4 * PAGE,
        Tag.MAJOR_FAULTS: 10,
        Tag.MINOR_FAULTS: 1000,
        Tag.FREE_MEMORY: 100 * 1024,
        Tag.TOTAL_MEMORY: 1000 * 1024,
        Tag.AVAILABLE_MEMORY: 300 * 1024,
        Tag.DISK_CACHES: 7 * PAGE,
        Tag.HUGETLB_ALLOCATIONS: 8,
        Tag.HUGETLB_FAILURES: 9,
        Tag.OOM_KILLS: 5,
        Tag.ALLOC_STALLS: 15,
        Tag.ASYNC_SCANS: 12 * PAGE,
        Tag.DIRECT_SCANS: 13 * PAGE,
        Tag.ASYNC_RECLAIMS: 14 * PAGE,
        Tag.DIRECT_RECLAIMS: 15 * PAGE,
    }


@pytest.mark.statement("DRV-STATS-6")
def test_the_order_is_linux_s() -> None:
    assert list(statistics()) == [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 8, 9, 4, 5, 6, 7]
    assert set(WIRE_ORDER) == set(Tag)


def test_pages_of_another_size_are_other_sizes() -> None:
    figures = collect(parse_vmstat(VMSTAT), parse_meminfo(MEMINFO), page_size=65536)

    assert figures[Tag.SWAP_IN] == 3 * 65536
    assert figures[Tag.FREE_MEMORY] == 100 * 1024


def test_total_memory_falls_by_what_is_inflated_without_deflate_on_oom() -> None:
    without = statistics(balloon_size=200 * 1024, deflate_on_oom=False)

    assert without[Tag.TOTAL_MEMORY] == 800 * 1024
    assert statistics(balloon_size=200 * 1024)[Tag.TOTAL_MEMORY] == 1000 * 1024
    assert statistics(balloon_size=1 << 40, deflate_on_oom=False)[Tag.TOTAL_MEMORY] == 0


@pytest.mark.statement("DRV-STATS-7")
def test_what_the_kernel_does_not_count_is_left_out() -> None:
    few = collect({}, parse_meminfo(MEMINFO), page_size=PAGE)

    assert few == {
        Tag.FREE_MEMORY: 100 * 1024,
        Tag.TOTAL_MEMORY: 1000 * 1024,
        Tag.AVAILABLE_MEMORY: 300 * 1024,
        Tag.DISK_CACHES: 33 * 1024,
    }
    assert collect({}, {}, page_size=PAGE) == {}


@pytest.mark.statement("DRV-STATS-8")
def test_the_subset_stays_the_same_for_life(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("pswpin 1\noom_kill 2\n")
    (tmp_path / "meminfo").write_text(MEMINFO)
    files = ProcFiles(str(tmp_path))
    first = files.collect(page_size=PAGE)
    with (tmp_path / "vmstat").open("r+") as vmstat:
        vmstat.write("pswpin 3\npgfault_ 2\n")
        vmstat.truncate()
    second = files.collect(page_size=PAGE)
    files.close()

    assert list(first) == list(second)
    assert (first[Tag.SWAP_IN], first[Tag.OOM_KILLS]) == (PAGE, 2)
    assert (second[Tag.SWAP_IN], second[Tag.OOM_KILLS]) == (3 * PAGE, 0)


def test_this_machine_has_memory() -> None:
    files = ProcFiles()
    figures = files.collect(page_size=PAGE)
    files.close()

    assert 0 < figures[Tag.FREE_MEMORY] <= figures[Tag.TOTAL_MEMORY]
    assert parse(encode(figures)) == figures


def test_no_proc_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="vmstat"):
        ProcFiles(str(tmp_path))


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    figures = collect(parse_vmstat(text), parse_meminfo(text), page_size=PAGE)

    assert set(figures) <= set(Tag)
