"""Cgroups of version 2 as files: found, read, limited and put back; and hosts that have none.

A real hierarchy is in `test_host_in_guest`.
"""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.errors import MissingError, UsageError
from aerostat.host.budget import Budget, HostReading
from aerostat.host.cgroup import Cgroup, CgroupMemory, cgroup_of
from aerostat.host.held import held_by_cgroup
from aerostat.host.meminfo import HostMemory
from aerostat.host.mounts import CgroupMounts, parse_cgroup_mounts

UNIFIED = "25 1 0:23 / {root} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
OLD = "33 25 0:30 / /sys/fs/cgroup/memory rw shared:16 - cgroup cgroup rw,memory\n"
OTHER = "21 26 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
FILES = {
    "memory.current": "1000\n",
    "memory.stat": "anon 600\nfile 300\ninactive_file 150\nactive_file 50\nslab_reclaimable 20\n",
    "memory.swap.current": "40\n",
    "memory.high": "max\n",
    "memory.max": "4000\n",
    "memory.pressure": "some avg10=2.00 avg60=0.00 avg300=0.00 total=10\n"
    "full avg10=1.00 avg60=0.00 avg300=0.00 total=5\n",
    "cgroup.procs": "7\n",
}


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Return a `/proc` with a cgroup hierarchy in which is one group, machine.slice."""
    root, proc = tmp_path / "cgroup", tmp_path / "proc"
    group = root / "machine.slice"
    group.mkdir(parents=True)
    for name, text in FILES.items():
        (group / name).write_text(text)
    (proc / "self").mkdir(parents=True)
    (proc / "self/mountinfo").write_text(OTHER + UNIFIED.format(root=root))
    (proc / "7").mkdir()
    (proc / "7/cgroup").write_text("0::/machine.slice/libvirt/emulator\n")
    return proc


@pytest.fixture(params=["marked", "unmarked"])
def group(proc: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cgroup:
    """Return the group, where groups can be marked and where they cannot."""
    if request.param == "unmarked":

        def refuse(*_: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(os, "setxattr", refuse)
    return Cgroup.find("machine.slice", proc / "self/mountinfo")


def test_which_hierarchies_there_are() -> None:
    root = Path("/sys/fs/cgroup")
    assert parse_cgroup_mounts(OTHER) == CgroupMounts(None, None)
    assert parse_cgroup_mounts(UNIFIED.format(root=root)) == CgroupMounts(root, None)
    hybrid = parse_cgroup_mounts(OLD + UNIFIED.format(root=root / "unified"))
    assert hybrid == CgroupMounts(root / "unified", root / "memory")
    assert parse_cgroup_mounts(UNIFIED.format(root=r"/a\040b")).version2 == Path("/a b")


@given(st.text(st.sampled_from("12 /-:cgroup2,memory\\040\n"), max_size=80) | st.text(max_size=40))
@settings(max_examples=20)
def test_junk_is_no_mount(text: str) -> None:
    mounts = parse_cgroup_mounts(text)
    assert all(place is None or place.is_absolute() for place in mounts)


def test_a_group_is_read_in_bytes(group: Cgroup) -> None:
    memory = group.read()

    assert memory == CgroupMemory(1000, reclaimable=220, swapped=40, high=None, max=4000)
    assert (memory.held, memory.limit) == (780, 4000)
    assert memory._replace(high=3000).limit == 3000
    assert memory._replace(max=None).limit is None
    pressure = group.pressure()
    assert pressure is not None
    assert pressure.some_ratio == 0.02


def test_a_group_by_its_whole_path(proc: Path) -> None:
    path = proc.parent / "cgroup/machine.slice"
    assert Cgroup.find(str(path), proc / "self/mountinfo").path == path


@pytest.mark.parametrize("name", ["", "../etc", "machine.slice/../..", "a\0b"])
def test_what_is_no_name(proc: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not the name"):
        Cgroup.find(name, proc / "self/mountinfo")


def test_a_group_that_is_not_there(proc: Path) -> None:
    with pytest.raises(MissingError, match="no such cgroup"):
        Cgroup.find("other.slice", proc / "self/mountinfo")


def test_a_group_without_memory(proc: Path) -> None:
    (proc.parent / "cgroup/machine.slice/memory.current").unlink()
    with pytest.raises(MissingError, match="subtree_control"):
        Cgroup.find("machine.slice", proc / "self/mountinfo")


def test_a_hybrid_host_says_that_it_cannot(proc: Path) -> None:
    mounts = proc / "self/mountinfo"
    mounts.write_text(mounts.read_text() + OLD)
    (proc.parent / "cgroup/machine.slice/memory.current").unlink()
    with pytest.raises(MissingError, match=r"version 1.*unified_cgroup_hierarchy=1"):
        Cgroup.find("machine.slice", mounts)


def test_an_old_host_says_that_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(OLD)
    with pytest.raises(MissingError, match="no cgroups of version 2"):
        Cgroup.find("machine.slice", tmp_path / "mountinfo")


def test_a_group_that_goes(group: Cgroup) -> None:
    (group.path / "memory.current").unlink()
    with pytest.raises(MissingError, match="cannot be read"):
        group.read()


@pytest.mark.parametrize("before", ["max", "5000"])
def test_the_backstop_is_put_back(group: Cgroup, before: str) -> None:
    high = group.path / "memory.high"
    high.write_text(f"{before}\n")
    limit = group.read().high

    group.set_backstop(2000)
    group.set_backstop(1500)
    assert high.read_text() == "1500\n"
    assert [group.backstop] == [1500]
    # What was there before counts, and not what we have set.
    assert group.read().high == limit

    group.restore()
    assert high.read_text() == f"{before}\n"
    assert group.backstop is None
    group.restore()
    assert high.read_text() == f"{before}\n"


def test_nothing_is_put_back_that_was_not_set(group: Cgroup) -> None:
    group.restore()
    assert (group.path / "memory.high").read_text() == "max\n"


def test_a_backstop_that_cannot_be_set(group: Cgroup) -> None:
    (group.path / "memory.high").unlink()
    with pytest.raises(MissingError, match="cannot be set"):
        group.set_backstop(1)


def test_a_mark_that_is_junk_is_none(proc: Path) -> None:
    group = Cgroup.find("machine.slice", proc / "self/mountinfo")
    try:
        os.setxattr(group.path, "user.aerostat.memory_high", b"\xff; rm")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    assert group.read().high is None
    group.restore()
    assert (group.path / "memory.high").read_text() == "max\n"


def test_the_group_of_a_process(proc: Path) -> None:
    """The threads of a VMM are in groups of their own, below the one that counts memory."""
    found = cgroup_of(7, proc)
    assert found is not None
    assert found.path.name == "machine.slice"
    assert held_by_cgroup(7, proc) == 780
    # What others hold too cannot be told apart.
    (found.path / "cgroup.procs").write_text("7\n8\n")
    assert held_by_cgroup(7, proc) is None
    assert held_by_cgroup(9, proc) is None


GROUP = CgroupMemory(current=60, reclaimable=10, swapped=0, high=None, max=80)


@pytest.mark.parametrize(
    ("group", "available", "held", "budget"),
    [
        (GROUP, 100, 30, 55),  # of its 80, it holds 20 for others; 5 are the reserve
        (GROUP, 20, 30, 45),  # the host has less than the group may have
        (GROUP._replace(current=30), 100, 30, 75),
        (GROUP._replace(max=None), 100, 30, 125),  # no limit: the host's
        (GROUP._replace(max=10), 100, 30, 0),
        (GROUP._replace(high=70), 100, 30, 45),
    ],
)
def test_the_budget_of_a_group(group: CgroupMemory, available: int, held: int, budget: int) -> None:
    rule = Budget(cgroup="machine.slice", reserve=5)
    reading = rule.reading(HostMemory(1000, available), held, group)
    assert reading == HostReading(budget, 1000, available, cgroup=group)


def test_what_a_backstop_is_set_to() -> None:
    memory = HostMemory(1000, 500)
    assert Budget(size=70).ceiling(memory) == 70
    assert Budget(reserve=100).ceiling(memory) == 900
    assert Budget(cgroup="a", reserve=5).ceiling(memory, GROUP) == 75
    assert Budget(cgroup="a").ceiling(memory, GROUP._replace(max=None)) == 1000
