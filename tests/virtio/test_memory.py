"""Guest memory: look-ups, copies, ranges that a guest made up, shared words."""

import mmap
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.errors import MissingError, UsageError
from aerostat.testing.mocks.driver import USER_BASE, make_memory
from aerostat.virtio.memory import (
    BadAddress,
    GuestMemory,
    Ordering,
    Piece,
    Region,
    SharedWords,
    ordering_of,
)

# Two regions that adjoin, a hole, and one more.
LOW, NEXT, HIGH = (0x0, 0x3000), (0x3000, 0x1000), (0x10000, 0x2000)


@pytest.fixture
def memory() -> Iterator[GuestMemory]:
    memory = make_memory(HIGH, LOW, NEXT)
    yield memory
    memory.release()


def inside(address: int) -> bool:
    return any(start <= address < start + size for start, size in (LOW, NEXT, HIGH))


def test_regions_come_sorted(memory: GuestMemory) -> None:
    assert [region.guest_address for region in memory.regions] == [0, 0x3000, 0x10000]
    assert repr(memory.regions[2]) == "<Region 0x10000+0x2000>"


@pytest.mark.parametrize("address", [0, 0x2FFE, 0x3FFC, 0x10000, 0x11FFC])
def test_what_is_written_is_read(memory: GuestMemory, address: int) -> None:
    memory.write(address, b"abcd")
    assert memory.read(address, 4) == b"abcd"
    assert memory.read(address + 1, 2) == b"bc"


def test_a_copy_may_straddle_adjoining_regions(memory: GuestMemory) -> None:
    memory.write(0x2FFE, b"abcd")
    assert memory.read(0x2FFE, 4) == b"abcd"
    assert bytes(memory.regions[0].view[-2:]) == b"ab"
    assert bytes(memory.regions[1].view[:2]) == b"cd"


@pytest.mark.parametrize(
    ("address", "length"),
    [
        (0x3FFE, 4),  # into the hole
        (0x4000, 1),
        (0xFFFF, 2),  # out of the hole
        (0x11FFF, 2),
        (1 << 63, 1),
        ((1 << 64) - 1, 2),  # beyond 2^64
        (0, 1 << 32),
        (0x3000, -1),
    ],
)
def test_outside_is_refused(memory: GuestMemory, address: int, length: int) -> None:
    with pytest.raises(BadAddress):
        memory.read(address, length)
    with pytest.raises(BadAddress):
        memory.split(address, length)
    with pytest.raises(BadAddress):
        memory.area(address, length)


def test_a_refused_write_writes_nothing(memory: GuestMemory) -> None:
    with pytest.raises(BadAddress):
        memory.write(0x3FFE, b"abcd")
    assert memory.read(0x3FFE, 2) == b"\0\0"


def test_split_names_regions_and_offsets(memory: GuestMemory) -> None:
    low, following, _ = memory.regions
    assert memory.split(0x2000, 0x1800) == [Piece(low, 0x2000, 0x1000), Piece(following, 0, 0x800)]
    assert memory.split(0x10000, 0) == []


def test_clip_leaves_out_and_counts_what_is_outside(memory: GuestMemory) -> None:
    low, following, high = memory.regions
    pieces, outside = memory.clip([(0x2000, 0xF000), (0x8000, 0x1000), (1 << 62, 4096)])
    assert pieces == [Piece(low, 0x2000, 0x1000), Piece(following, 0, 0x1000), Piece(high, 0, 4096)]
    assert outside == 0xC000 + 0x1000 + 4096


@given(
    st.lists(
        st.tuples(st.integers(0, 0x14000) | st.integers(0, 1 << 44), st.integers(0, 0x14000)),
        max_size=4,
    )
)
def test_clip_accounts_for_every_byte(ranges: list[tuple[int, int]]) -> None:
    memory = make_memory(HIGH, LOW, NEXT)
    pieces, outside = memory.clip(ranges)
    assert sum(piece.length for piece in pieces) + outside == sum(size for _, size in ranges)
    for region, offset, length in pieces:
        assert length > 0
        assert offset >= 0
        assert offset + length <= region.size
    for address, size in ranges:
        for probe in (address, address + size - 1):
            if size:
                covered = any(
                    0 <= probe - region.guest_address - offset < length
                    for region, offset, length in pieces
                )
                assert covered == inside(probe)


def test_user_addresses_are_translated(memory: GuestMemory) -> None:
    assert memory.user_to_guest(USER_BASE + 0x10010, 0x1FF0) == 0x10010
    for address, length in ((USER_BASE + 0x10010, 0x1FF1), (USER_BASE - 1, 1), (0, 16)):
        with pytest.raises(BadAddress):
            memory.user_to_guest(address, length)
    with pytest.raises(BadAddress):  # a ring part lies in one region
        memory.user_to_guest(USER_BASE + 0x2FF0, 0x20)


@pytest.mark.parametrize(
    "spans",
    [
        [(0, 4096), (0, 4096)],
        [(0, 4096), (4095, 4096)],
        [((1 << 64) - 4095, 4096)],
    ],
)
def test_impossible_tables_are_refused(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(BadAddress):
        make_memory(*spans)


def test_an_empty_region_is_refused() -> None:
    with pytest.raises(BadAddress):
        GuestMemory([Region(0x1000, 0, 0, memoryview(bytearray()))])


def test_a_region_needs_a_fitting_writable_view() -> None:
    for view in (memoryview(bytearray(15)), memoryview(bytes(16))):
        with pytest.raises(UsageError):
            Region(0, 16, 0, view)


def test_released_memory_can_be_unmapped() -> None:
    mapping = mmap.mmap(-1, 8192)
    memory = GuestMemory([Region(0, 8192, 0, memoryview(mapping))])
    words = memory.words16(4096, 8)
    memory.read(0, 16)
    memory.clip([(0, 4096)])
    words.release()
    memory.release()
    mapping.close()  # raises BufferError while anybody holds a view
    assert mapping.closed


def test_shared_words_are_little_endian_words_in_place(memory: GuestMemory) -> None:
    words = memory.words16(0x100, 4)
    words.store(1, 0x1234)
    words.publish(2, 0xFFFF)
    assert memory.read(0x100, 8) == bytes.fromhex("0000 3412 ffff 0000")
    memory.write(0x106, b"\x01\x80")
    assert words.load(3) == words.acquire(3) == 0x8001
    words.release()
    with pytest.raises(ValueError, match="released"):
        words.load(0)


def test_shared_words_may_be_big_endian(memory: GuestMemory) -> None:
    words = memory.words16(0x100, 4, "big")
    words.store(1, 0x1234)
    words.publish(2, 0xFF00)
    assert memory.read(0x100, 8) == bytes.fromhex("0000 1234 ff00 0000")
    memory.write(0x106, b"\x01\x80")
    assert words.load(3) == words.acquire(3) == 0x0180


def test_shared_words_must_be_aligned_and_in_one_region(memory: GuestMemory) -> None:
    for address, count in ((0x101, 2), (0x2FFE, 2), (0x4000, 1)):
        with pytest.raises(BadAddress):
            memory.words16(address, count)


def test_ordering_hooks_come_on_the_right_side_of_the_access() -> None:
    trace: list[tuple[str, int]] = []
    store = bytearray(2)

    class Tracing(Ordering):
        def acquire(self) -> None:
            trace.append(("acquire", store[0]))

        def publish(self) -> None:
            trace.append(("publish", store[0]))

    words = SharedWords(memoryview(store), ordering=Tracing())
    words.publish(0, 7)
    assert trace == [("publish", 0)]  # earlier stores first, then this one
    assert words.acquire(0) == 7
    assert trace[1:] == [("acquire", 7)]


def test_machines_without_fences_are_refused() -> None:
    assert type(ordering_of("x86_64")) is Ordering
    for machine in ("aarch64", "s390x"):
        with pytest.raises(MissingError, match=machine):
            ordering_of(machine)
