"""A guest on the host's huge pages: only whole ones can be given back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.testing.control_client import ControlClient
from aerostat.testing.mocks.frontend import SharedFile
from aerostat.testing.mocks.guest import QUEUES, MockGuest
from aerostat.testing.processes.device import DeviceProcess

COUNT = 6  # of huge pages; the rings are in the first
RESERVED = Path("/proc/sys/vm/nr_hugepages")


def meminfo(name: str) -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


@pytest.fixture
def huge_page_size() -> Iterator[int]:
    """Have enough huge pages for a guest while a test runs; skip where that cannot be."""
    if "Hugepagesize" not in Path("/proc/meminfo").read_text():
        pytest.skip("this kernel has no huge pages")
    before = RESERVED.read_text()
    try:
        if (missing := COUNT - meminfo("HugePages_Free")) > 0:
            RESERVED.write_text(str(int(before) + missing))
        if meminfo("HugePages_Free") < COUNT:
            pytest.skip("this machine has too few huge pages")
        yield meminfo("Hugepagesize") * 1024
    except PermissionError:
        pytest.skip("huge pages can only be reserved by root")
    finally:
        if RESERVED.read_text() != before:
            RESERVED.write_text(before)


@pytest.fixture
def memory(huge_page_size: int) -> Iterator[SharedFile]:
    memory = SharedFile([(0, COUNT * huge_page_size)], huge=True)
    yield memory
    memory.close()


@pytest.fixture
def guest(device: DeviceProcess, memory: SharedFile) -> Iterator[MockGuest]:
    queues = (*QUEUES, Queue.REPORTING)
    guest = MockGuest(str(device.socket), memory, 64 * PAGE_SIZE, queues=queues)
    yield guest
    guest.close()


def test_whole_huge_pages_are_given_back_and_no_part_of_one(
    guest: MockGuest, control: ControlClient, huge_page_size: int
) -> None:
    memory, size = guest.memory, huge_page_size
    memory.memory.write(0, b"\0")
    for number in range(1, COUNT):
        memory.memory.write(number * size, b"x" * size)
    assert memory.held == COUNT * size
    pages = list(range(size // PAGE_SIZE, 3 * size // PAGE_SIZE))
    # All of the second and the third but one page each, every other one first.
    guest.balloon(Queue.INFLATE, pages[1::2])
    guest.balloon(Queue.INFLATE, pages[2::2])
    assert memory.held == (COUNT - 1) * size
    guest.balloon(Queue.INFLATE, pages[:1])
    assert memory.held == (COUNT - 2) * size
    counters = control.sample(timeout=0)["counters"]
    assert counters["punched_bytes"] == 2 * size
    assert counters["punches"] == 2
    # One page back, written to, and given again: the huge page comes and goes.
    guest.balloon(Queue.DEFLATE, pages[5:6])
    memory.memory.write(pages[5] * PAGE_SIZE, b"x")
    assert memory.held == (COUNT - 1) * size
    guest.balloon(Queue.INFLATE, pages[5:6])
    assert memory.held == (COUNT - 2) * size
    assert memory.memory.read(3 * size, size) == b"x" * size
    # A report that has part of two, and the whole of none; then one that has a whole one.
    guest.report([(3 * size + PAGE_SIZE, 2 * size - 2 * PAGE_SIZE)])
    assert memory.held == (COUNT - 2) * size
    guest.report([(3 * size + PAGE_SIZE, 2 * size)])
    assert memory.held == (COUNT - 3) * size
    assert control.sample(timeout=0)["held"] == memory.held
