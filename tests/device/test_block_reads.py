"""What a guest has read from its disks: a fake /proc, real processes, and a real Linux guest."""

import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aerostat.device.block_reads import MAX_HELPERS, BlockReads, Counter
from aerostat.device.options import Options, parse
from aerostat.errors import UsageError
from aerostat.testing.control_client import ControlClient
from aerostat.testing.descriptors import open_descriptors
from aerostat.testing.guests.parts import find_newer_uml
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.mocks.frontend import MockFrontend, SharedFile
from aerostat.testing.processes.device import DeviceProcess
from aerostat.testing.pytest_plugin import optional_part
from aerostat.units import MIB

SOCKETS = ["--socket", "a", "--control", "b"]


class FakeProc:
    """A /proc of processes that have read what they are told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "self").symlink_to(str(os.getpid()))

    def process(self, pid: int, rchar: int = 0, read_bytes: int = 0) -> None:
        directory = self.path / str(pid)
        directory.mkdir(exist_ok=True)
        text = f"rchar: {rchar}\nwchar: 5\nsyscr: 7\nread_bytes: {read_bytes}\nwrite_bytes: 9\n"
        (directory / "io").write_text(text)

    def children(self, pid: int, *children: int) -> None:
        directory = self.path / str(pid) / "task" / str(pid)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "children").write_text("".join(f"{child} " for child in children))


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def count(proc: FakeProc, said: list[str]) -> Iterator[Callable[..., BlockReads]]:
    """Count the reads of a process of the fake /proc; all is closed with the test."""
    before = open_descriptors()
    counts: list[BlockReads] = []

    def count(pid: int = 100, counter: Counter = "rchar") -> BlockReads:
        counts.append(BlockReads(pid, counter, said.append, str(proc.path)))
        return counts[-1]

    yield count
    for each in counts:
        each.close()
        assert each.total() is None
    assert open_descriptors() == before


def test_either_counter_is_told(proc: FakeProc, count: Callable[..., BlockReads]) -> None:
    proc.process(100, rchar=3, read_bytes=4096)
    calls, storage = count(), count(counter="read_bytes")
    assert (calls.total(), storage.total()) == (3, 4096)
    proc.process(100, rchar=50, read_bytes=8192)
    assert (calls.total(), storage.total()) == (50, 8192)


def test_helpers_count_too(proc: FakeProc, count: Callable[..., BlockReads]) -> None:
    proc.process(100, rchar=1)
    proc.process(101, rchar=20)
    proc.process(102, rchar=300)
    proc.children(100, 101)
    reads = count()
    assert reads.total() == 21
    proc.children(100, 101, 102, 103)  # of which one has ended already
    assert reads.total() == 321
    proc.children(100)  # the list may leave one out that is there (proc(5))
    assert reads.total() == 321


def test_of_many_helpers_only_the_oldest_are_looked_at(
    proc: FakeProc, count: Callable[..., BlockReads]
) -> None:
    helpers = range(101, 101 + 2 * MAX_HELPERS)
    for pid in (100, *helpers):
        proc.process(pid, rchar=1)
    proc.children(100, *helpers)
    assert count().total() == 1 + MAX_HELPERS


def test_a_device_that_its_front_end_has_started_is_no_helper(
    proc: FakeProc, count: Callable[..., BlockReads]
) -> None:
    for pid in (100, os.getpid()):
        proc.process(pid, rchar=1)
    proc.children(100, os.getpid())
    assert count().total() == 1


@pytest.mark.parametrize("text", ["", "rchar: many\n", "rchar:\n", "read_bytes: 5\n", "\0\xff"])
def test_what_makes_no_sense_is_not_known_and_said_once(
    proc: FakeProc, count: Callable[..., BlockReads], said: list[str], text: str
) -> None:
    proc.process(100)
    (proc.path / "100" / "io").write_text(text)
    reads = count()
    assert [reads.total(), reads.total()] == [None, None]
    assert len(said) == 1


def test_who_cannot_be_seen_is_not_counted(
    proc: FakeProc, count: Callable[..., BlockReads], said: list[str]
) -> None:
    proc.process(0, rchar=1)
    assert [count(pid).total() for pid in (0, 7)] == [None, None]
    assert "(process 7)" in said[1]
    proc.process(100, rchar=1)
    (proc.path / "self").unlink()
    (proc.path / "self").symlink_to("1")  # the /proc of another PID namespace
    assert count().total() is None
    assert len(said) == 3


def test_a_helper_that_was_waited_for_counts_once_and_the_dead_not_at_all(
    tmp_path: Path, said: list[str]
) -> None:
    file = tmp_path / "disk"
    file.write_bytes(bytes(4 * MIB))
    program = 'echo; read line; cat "$0" > /dev/null; echo; read line'
    with subprocess.Popen(
        ["/bin/sh", "-c", program, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as shell:
        assert shell.stdin
        assert shell.stdout
        shell.stdout.readline()
        with closing(BlockReads(shell.pid, "rchar", said.append)) as reads:
            before = reads.total()
            assert before is not None
            shell.stdin.write(b"\n")
            shell.stdin.flush()
            while not select.select([shell.stdout], [], [], 0)[0]:
                reads.total()  # as the helper comes, reads, and goes
            after = reads.total()
            assert after is not None
            assert 4 * MIB <= after - before < 5 * MIB
            shell.send_signal(signal.SIGKILL)
            shell.wait()
            assert [reads.total(), reads.total()] == [None, None]
    assert len(said) == 1


def test_a_device_tells_what_its_front_end_reads_where_it_was_told_to(
    start_device: Callable[..., DeviceProcess], shared: SharedFile
) -> None:
    device = start_device("guest", "--block-reads", "rchar")
    with ControlClient(device.control) as control:
        assert control.sample(timeout=0)["block-reads"] is None
        with MockFrontend(str(device.socket), shared):
            control.wait_until(lambda: control.sample(timeout=0)["block-reads"] is not None)
            before = control.sample(timeout=0)["block-reads"]
            with open("/dev/zero", "rb", buffering=0) as zeros:  # noqa: PTH123 - unbuffered
                read = len(zeros.read(MIB))
            after = control.sample(timeout=0)["block-reads"]
            assert read <= after - before < read + MIB
        control.wait_until(lambda: control.sample(timeout=0)["block-reads"] is None)


def test_nobody_counts_unless_told(
    device: DeviceProcess, control: ControlClient, shared: SharedFile
) -> None:
    with MockFrontend(str(device.socket), shared):
        control.wait_until(lambda: control.sample(timeout=0)["counters"]["front_ends"] == 1)
        assert control.sample(timeout=0)["block-reads"] is None


def test_the_counter_is_one_that_there_is() -> None:
    options = parse([*SOCKETS, "--block-reads", "read_bytes"])
    assert isinstance(options, Options)
    assert options.block_reads == "read_bytes"
    with pytest.raises(UsageError, match="rchar, read_bytes"):
        parse([*SOCKETS, "--block-reads", "syscr"])


@pytest.mark.uml
@pytest.mark.parametrize("newer", [False, True], ids=["here", "6.12"])
async def test_what_linux_reads_from_its_disk_is_told(
    laboratory: Laboratory,
    newer: bool,
) -> None:
    kernel = None
    if newer:
        with optional_part():
            kernel = find_newer_uml()
    disk = laboratory.directory / "disk"
    disk.write_bytes(bytes(48 * MIB))
    guest = await laboratory.start_guest(
        "guest", 96 * MIB, arguments=[f"ubd0r={disk}"], kernel=kernel
    )

    def told() -> int:
        with ControlClient(laboratory.devices[0].control) as control:
            read: int = control.sample()["block-reads"]
        return read

    async def counted() -> int:
        return (await guest.counters())["vmstat"]["pgpgin"] * 1024

    start, inside = told(), await counted()
    laboratory.devices[0] = await laboratory.devices[0].successor()  # which counts on
    await guest.command("read_host_file", worker="reader", path="/dev/ubda", size=40 * MIB)
    read = await counted() - inside
    assert read >= 40 * MIB
    assert abs(told() - start - read) < MIB
