"""Mapping what a front-end shares, and giving pieces of it back."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerostat.device.memory import MappedMemory
from aerostat.errors import PeerError
from aerostat.vhost_user.descriptors import OwnedDescriptor
from aerostat.vhost_user.messages import RegionDescription
from aerostat.virtio.memory import Piece

PAGE = 4096
SIZE = 16 * PAGE


@pytest.fixture
def file() -> Iterator[int]:
    descriptor = os.memfd_create("guest")
    os.ftruncate(descriptor, SIZE)
    yield descriptor
    os.close(descriptor)


def share(file: int, *regions: tuple[int, int, int, int]) -> MappedMemory:
    descriptors = [OwnedDescriptor(os.dup(file)) for _ in regions]
    return MappedMemory.map([RegionDescription(*region) for region in regions], descriptors)


def piece(memory: MappedMemory, address: int, length: int) -> Piece:
    (found,) = memory.guest.split(address, length)
    return found


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def held(file: int) -> int:
    return os.fstat(file).st_blocks * 512


def test_a_region_is_the_part_of_the_file_that_it_says(file: int) -> None:
    os.pwrite(file, b"here", 5 * PAGE + 10)
    memory = share(file, (0x10000, 4 * PAGE, 0x70000, 5 * PAGE))
    assert memory.guest.read(0x10000 + 10, 4) == b"here"
    memory.guest.write(0x10000 + 4 * PAGE - 3, b"end")
    assert os.pread(file, 3, 9 * PAGE - 3) == b"end"
    assert memory.size == 4 * PAGE
    memory.close()


def test_a_region_may_begin_in_the_middle_of_a_page(file: int) -> None:
    os.pwrite(file, b"here", PAGE + 16)
    memory = share(file, (0, PAGE, 0, PAGE + 16))
    assert memory.guest.read(0, 4) == b"here"
    memory.close()


def test_a_file_counts_once_however_many_regions_it_has(file: int) -> None:
    os.pwrite(file, b"x" * SIZE, 0)
    other = os.memfd_create("other")
    os.ftruncate(other, SIZE)
    os.pwrite(other, b"x" * PAGE, 0)
    regions = [RegionDescription(n * SIZE, PAGE, n * SIZE, n * PAGE) for n in range(3)]
    descriptors = [OwnedDescriptor(os.dup(one)) for one in (file, file, other)]
    memory = MappedMemory.map(regions, descriptors)
    assert memory.held() == SIZE + PAGE
    memory.close()
    os.close(other)


@pytest.mark.parametrize(
    "regions",
    [
        [(0, 0, 0, 0)],
        [(0, SIZE + 1, 0, 0)],
        [(0, PAGE, 0, SIZE)],
        [(0, PAGE, 0, (1 << 64) - PAGE)],
        [(0, 1 << 63, 0, 0)],
        [((1 << 64) - PAGE, 2 * PAGE, 0, 0)],
        [(0, 2 * PAGE, (1 << 64) - PAGE, 0)],
        [(0, 2 * PAGE, 0, 0), (PAGE, PAGE, SIZE, 0)],
        [(0, 2 * PAGE, 0, 0), (SIZE, PAGE, PAGE, 0)],
        [(0, PAGE, 0, 0), (PAGE, SIZE, PAGE, PAGE)],
    ],
)
def test_a_table_that_cannot_be_is_refused_and_nothing_stays_open(
    file: int, regions: list[tuple[int, int, int, int]]
) -> None:
    before = open_descriptors()
    with pytest.raises(PeerError):
        share(file, *regions)
    assert open_descriptors() == before


def test_what_is_not_a_file_is_refused() -> None:
    reader, writer = os.pipe()
    with pytest.raises(PeerError, match="not a file"):
        share(reader, (0, PAGE, 0, 0))
    os.close(reader)
    os.close(writer)


def test_what_may_not_be_written_is_refused(file: int) -> None:
    reader = os.open(f"/proc/self/fd/{file}", os.O_RDONLY)
    with pytest.raises(PeerError):
        share(reader, (0, PAGE, 0, 0))
    os.close(reader)
