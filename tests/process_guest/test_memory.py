"""The memory of a process guest: what is shared of it, and what is known of its holes."""

import os
from collections.abc import Iterator

import pytest

from aerostat.process_guest.memory import USER_BASE, GuestMemoryFile
from aerostat.vhost_user.messages import RegionDescription

MIB = 1 << 20


@pytest.fixture
def memory() -> Iterator[GuestMemoryFile]:
    memory = GuestMemoryFile([(0, MIB), (4 * MIB, 2 * MIB)], offset=MIB)
    yield memory
    memory.close()


def test_regions_follow_each_other_in_the_file(memory: GuestMemoryFile) -> None:
    assert memory.size == 4 * MIB
    assert memory.descriptions == (
        RegionDescription(0, MIB, USER_BASE, MIB),
        RegionDescription(4 * MIB, 2 * MIB, USER_BASE + 4 * MIB, 2 * MIB),
    )
    memory.memory.write(4 * MIB, b"here")
    assert os.pread(memory.descriptor, 4, 2 * MIB) == b"here"


def test_no_device_need_fear_that_it_shrinks(memory: GuestMemoryFile) -> None:
    for size in (0, 8 * MIB):
        with pytest.raises(PermissionError):
            os.ftruncate(memory.descriptor, size)


def test_what_takes_memory_is_known(memory: GuestMemoryFile) -> None:
    assert memory.held == 0
    assert memory.holes() == [(0, 4 * MIB)]
    memory.memory.write(4 * MIB, b"\1" * 8192)
    assert memory.held == 8192
    assert memory.holes() == [(0, 2 * MIB), (2 * MIB + 8192, 2 * MIB - 8192)]
