"""The host as one object, and its smaller rooms: swap, rates, nodes, triggers, the survey."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.errors import MissingError
from aerostat.host.budget import Budget
from aerostat.host.cgroup import Cgroup
from aerostat.host.held import Held, held_by_file, held_together, memory_files, read_held
from aerostat.host.host import Host
from aerostat.host.numa import NodeMemory, parse_node, read_nodes
from aerostat.host.pressure import PRESSURE, open_trigger
from aerostat.host.proc import read_small
from aerostat.host.rates import Rate
from aerostat.host.survey import parse_arc, parse_zram, read_survey
from aerostat.host.swap import SwapTraffic, parse_swap_traffic, read_swap_traffic

MIB = 1 << 20
NODE = """\
Node 0 MemTotal:       1000 kB
Node 0 MemFree:         400 kB
Node 0 Active(file):    100 kB
Node 0 Inactive(file):   50 kB
Node 0 SReclaimable:     10 kB
"""
JUNK = st.text(st.sampled_from("Node 0pswpinoutkB:size4\n "), max_size=60) | st.text(max_size=30)


def vmstat(swapped_in: int, swapped_out: int) -> str:
    return f"nr_free_pages 5\npswpin {swapped_in}\npswpout {swapped_out}\n"


def pressure(seconds: float) -> str:
    line = f"avg10=40.00 avg60=0.00 avg300=0.00 total={int(seconds * 1e6)}\n"
    return f"some {line}full {line}"


def test_swap_traffic_is_bytes_and_counts_what_is_compressed() -> None:
    assert parse_swap_traffic(vmstat(2, 3), 4096) == SwapTraffic(8192, 12288)
    text = vmstat(2, 3) + "zswpin 1\nzswpout 1\n"
    assert parse_swap_traffic(text, 4096) == SwapTraffic(3 * 4096, 4 * 4096)
    assert parse_swap_traffic("pswpin 2\n") is None


def test_this_host_s_swap_traffic_never_shrinks() -> None:
    before, after = read_swap_traffic(), read_swap_traffic()
    assert before is not None
    assert after is not None
    assert after >= before


@given(JUNK)
@settings(max_examples=20)
def test_junk_is_survived(text: str) -> None:
    assert parse_swap_traffic(text.replace("pswpin", "")) is None
    assert parse_node(0, text) is None
    assert parse_arc(text) >= 0
    assert parse_zram(text) == ()


def test_a_file_longer_than_a_page_is_read_whole(tmp_path: Path) -> None:
    """The kernel hands out `/proc/vmstat` and mountinfo in pieces."""
    (tmp_path / "long").write_bytes(b"x" * 70000)
    assert len(read_small(tmp_path / "long")) == 64 * 1024
    assert read_small("/proc/vmstat").endswith("\n")
    assert "pswpout " in read_small("/proc/vmstat")


def test_a_rate_is_over_the_last_seconds() -> None:
    rate = Rate(window=2.0)
    assert rate.update(0.0, 100) is None
    assert rate.update(1.0, 200) == 100
    assert rate.update(2.0, 200) == 50
    assert rate.update(3.0, 200) == 0  # what was two seconds ago is the past
    assert rate.update(4.0, 200) == 0


def test_a_rate_begins_afresh() -> None:
    rate = Rate()
    rate.update(0.0, 100)
    assert rate.update(1.0, 50) is None  # the counter was reset
    assert rate.update(2.0, 60) == 10
    assert rate.update(3.0, None) is None
    assert rate.update(4.0, 60) is None
    assert rate.update(4.001, 99) is None  # too close


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(0, 1 << 40)), max_size=30))
@settings(max_examples=20)
def test_a_rate_of_a_counter_that_grows_is_never_negative(steps: list[tuple[float, int]]) -> None:
    rate, now, counter = Rate(), 0.0, 0
    for elapsed, growth in steps:
        now, counter = now + elapsed, counter + growth
        found = rate.update(now, counter)
        assert found is None or found >= 0


def test_nodes(tmp_path: Path) -> None:
    node = NodeMemory(0, 1000 * 1024, 400 * 1024, 160 * 1024)
    assert parse_node(0, NODE) == node
    for name, text in {"node0": NODE, "node1": "Node 1 MemTotal: 0 kB\n", "possible": ""}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "meminfo").write_text(text)
    assert read_nodes(tmp_path) == (node,)
    assert read_nodes(tmp_path / "none") == ()


def test_held_of_memory_files_is_counted_once() -> None:
    file = os.memfd_create("guest")
    try:
        os.pwrite(file, b"x" * MIB, 0)
        status = os.fstat(file)
        identity = (status.st_dev, status.st_ino)
        assert memory_files(os.getpid())[identity] == MIB
        assert held_by_file(identity, os.getpid()) == MIB
        held = read_held(os.getpid())
        assert held is not None
        assert held.total >= held.alone + MIB
        assert held_together([held, held]) == held.total + held.alone
    finally:
        os.close(file)
    assert held_by_file(identity, os.getpid()) is None


def test_a_process_that_cannot_be_looked_into(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    assert read_held(7, tmp_path) is None
    (tmp_path / "7/status").write_text("Name:\tzombie\n")
    assert read_held(7, tmp_path) is None
    (tmp_path / "7/status").write_text("RssAnon:\t 4 kB\nRssShmem:\t 2 kB\n")
    assert read_held(7, tmp_path) == Held(6 * 1024)


class FakeHost:
    """Files of a host that a test writes, and a clock that it sets."""

    def __init__(self, proc: Path) -> None:
        self.proc = proc
        self.now = 0.0
        (proc / "pressure").mkdir()
        (proc / "self").mkdir()
        (proc / "self/mountinfo").write_text(f"25 1 0:23 / {proc}/cgroup rw - cgroup2 cgroup2 rw\n")
        (proc / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 500 kB\n")

    def tells(self, *, swapped_out: int, stalled: float) -> None:
        (self.proc / "vmstat").write_text(vmstat(0, swapped_out))
        (self.proc / "pressure/memory").write_text(pressure(stalled))

    def host(self, budget: Budget) -> Host:
        return Host(budget, clock=lambda: self.now, proc=self.proc, nodes=self.proc / "none")


@pytest.fixture
def fake(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def test_rates_are_between_two_readings(fake: FakeHost) -> None:
    host = fake.host(Budget(reserve=0))
    fake.tells(swapped_out=0, stalled=1.0)
    first = host.read(0)
    assert (first.swap_out, first.pressure) == (None, 0.4)  # the kernel's average, for now

    fake.now = 1.0
    fake.tells(swapped_out=10, stalled=1.25)
    second = host.read(0)
    assert second.swap_out == 10 * os.sysconf("SC_PAGE_SIZE")
    assert second.pressure == pytest.approx(0.25)
    assert second.budget == 500 * 1024


def test_a_host_that_tells_only_its_memory(fake: FakeHost) -> None:
    host = fake.host(Budget(reserve=0))
    host.read(0)
    fake.now = 1.0
    reading = host.read(0)
    assert (reading.pressure, reading.swap_out, reading.swap_in) == (None, None, None)
    assert reading.nodes == ()
    assert host.pressure_trigger() is None
    assert host.set_backstop() is None
    host.close()


def test_the_pressure_of_the_guests_group_counts_too(fake: FakeHost) -> None:
    group = fake.proc / "cgroup/machine.slice"
    group.mkdir(parents=True)
    fake.tells(swapped_out=0, stalled=0)
    for name, text in {"memory.current": "10", "memory.stat": "", "memory.max": "max"}.items():
        (group / name).write_text(text)
    (group / "memory.pressure").write_text(pressure(0))
    host = fake.host(Budget(cgroup="machine.slice"))
    host.read(0)
    fake.now = 1.0
    (group / "memory.pressure").write_text(pressure(0.75))
    assert host.read(0).pressure == pytest.approx(0.75)


def test_a_group_may_come_later(fake: FakeHost) -> None:
    """Systemd makes a slice with its first guest."""
    (fake.proc / "cgroup").mkdir()
    host = fake.host(Budget(cgroup="machine.slice"))
    assert host.read(0).cgroup is None
    assert host.read(0).budget == 500 * 1024

    group = fake.proc / "cgroup/machine.slice"
    group.mkdir()
    for name, text in {"memory.current": "0", "memory.stat": "", "memory.max": "9"}.items():
        (group / name).write_text(text)
    assert host.read(0).budget == 9


def test_a_host_that_can_have_no_group_says_so_at_the_start(fake: FakeHost) -> None:
    (fake.proc / "self/mountinfo").write_text("")
    with pytest.raises(MissingError, match="no cgroups of version 2"):
        fake.host(Budget(cgroup="machine.slice"))


def test_closing_puts_the_backstop_back(fake: FakeHost) -> None:
    group = fake.proc / "cgroup/machine.slice"
    group.mkdir(parents=True)
    for name, text in {"memory.current": "1", "memory.stat": "", "memory.high": "max"}.items():
        (group / name).write_text(text)
    backstop = Cgroup(group)
    host = Host(Budget(size=700), backstop=backstop, proc=fake.proc, nodes=fake.proc)
    host.read(0)
    assert (group / "memory.high").read_text() == "max"  # only if asked
    assert host.set_backstop() == 700
    assert (group / "memory.high").read_text() == "700\n"

    backstop.restore()  # as a group that was made anew has it
    host.read(0)
    assert (group / "memory.high").read_text() == "700\n"
    host.close()
    assert (group / "memory.high").read_text() == "max\n"


def test_a_trigger_where_there_is_none(tmp_path: Path) -> None:
    assert open_trigger(tmp_path / "none") is None
    (tmp_path / "file").write_text("")
    # An ordinary file cannot be waited for.
    assert open_trigger(tmp_path / "file") is None


def test_a_trigger_at_rest_says_nothing() -> None:
    trigger = open_trigger()
    if trigger is None:
        pytest.skip(f"{PRESSURE} is not there, or not for us")
    try:
        assert trigger.fileno() >= 0
        trigger.wait(0.0)  # whatever this host suffers from, it does not hang
    finally:
        trigger.close()


def test_a_survey(tmp_path: Path) -> None:
    proc, sys = tmp_path / "proc", tmp_path / "sys"
    root = tmp_path / "cgroup"
    files = {
        proc / "sys/kernel/osrelease": "6.1.0-13-amd64\n",
        proc / "pressure/memory": pressure(0),
        proc / "sys/vm/overcommit_memory": "2\n",
        proc / "self/mountinfo": f"25 1 0:23 / {root} rw - cgroup2 cgroup2 rw\n",
        proc / "swaps": "Filename Type\n/dev/zram0 partition\n/swapfile file\n",
        proc / "spl/kstat/zfs/arcstats": "name type data\nc_min    4    100\nsize    4    900\n",
        root / "cgroup.controllers": "cpu memory\n",
        sys / "module/zswap/parameters/enabled": "Y\n",
        sys / "kernel/mm/ksm/run": "1\n",
        sys / "kernel/mm/ksm/pages_sharing": "3\n",
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    survey = read_survey(proc, sys)

    assert survey.version == (6, 1)
    assert (survey.pressure, survey.trigger, survey.overcommit) == (True, True, 2)
    assert (survey.memory_cgroups, survey.zswap) == (True, True)
    assert (survey.zram, survey.arc) == (("/dev/zram0",), 800)
    assert survey.shared_pages == 3 * os.sysconf("SC_PAGE_SIZE")


def test_a_survey_of_nothing(tmp_path: Path) -> None:
    survey = read_survey(tmp_path, tmp_path)
    assert survey.version is None
    assert not any(survey[1:4] + survey[5:])
