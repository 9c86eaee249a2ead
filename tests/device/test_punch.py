"""Many holes with one system call, where the kernel has that."""

import mmap
from collections.abc import Iterator

import pytest

from aerostat.device.punch import address_of, can_punch_mapped, punch_mapped

PAGE = mmap.PAGESIZE
# One more than one call takes, and a page left between any two.
COUNT = 1025


@pytest.fixture
def memory() -> Iterator[mmap.mmap]:
    if not can_punch_mapped():
        pytest.skip("this kernel makes one hole a call: it is older than 6.13")
    with mmap.mmap(-1, 2 * COUNT * PAGE) as memory:
        memory[::PAGE] = b"x" * (2 * COUNT)
        yield memory


def test_as_many_holes_as_there_are_in_as_few_calls_as_it_takes(memory: mmap.mmap) -> None:
    base = address_of(memoryview(memory))
    spans = [word for n in range(COUNT) for word in (base + 2 * n * PAGE, PAGE)]
    assert punch_mapped(spans) == 2
    assert memory[::PAGE] == b"\0x" * COUNT
    assert punch_mapped([]) == 0


def test_what_is_not_shared_memory_cannot_be_punched(memory: mmap.mmap) -> None:
    with mmap.mmap(-1, PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as private:
        spans = [address_of(memoryview(memory)), PAGE, address_of(memoryview(private)), PAGE]
        with pytest.raises(OSError, match="Invalid argument"):
            punch_mapped(spans[2:])
        with pytest.raises(OSError, match="only some"):
            punch_mapped(spans)
        assert memory[0] == 0
