"""The pages that are taken from a guest: chunks, frames, and the ways of pinning them."""

import mmap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.errors import MissingError
from aerostat.guest.pagemap import PAGE_SIZE, Pagemap, address_of
from aerostat.guest.pages import BalloonPages
from aerostat.guest.permissions import NotPermittedError
from aerostat.guest.pins import Pins, UringPins
from aerostat.units import GIB, MIB

CHUNK = MIB // PAGE_SIZE


class FakePins:
    """Pins nothing, and counts."""

    lag = 0.0

    def __init__(self, *, holds: bool = True, most: int = 1 << 30) -> None:
        self.holds = holds
        self.most = most
        self.areas: dict[int, tuple[int, int]] = {}

    def pin(self, slot: int, address: int, size: int) -> bool:
        assert slot not in self.areas
        if size + sum(size for _, size in self.areas.values()) > self.most:
            return False
        self.areas[slot] = address, size
        return True

    def unpin(self, slot: int, address: int, size: int) -> None:
        assert self.areas.pop(slot) == (address, size)

    def close(self) -> None:
        self.areas.clear()


class FakeFrames:
    """Frames by address: the kernel's page number, plus `shift`."""

    def __init__(self) -> None:
        self.shift = 0

    def frames(self, address: int, count: int) -> list[int]:
        first = address // PAGE_SIZE + self.shift
        return list(range(first, first + count))


def make(pins: FakePins | None = None, memory_size: int = GIB) -> tuple[BalloonPages, FakePins]:
    pins = pins or FakePins()
    return BalloonPages(pins, FakeFrames(), memory_size=memory_size), pins


def test_pages_come_in_chunks_and_go_back_when_a_chunk_is_whole() -> None:
    pages, pins = make()
    first = pages.take(2 * CHUNK, 100)
    second = pages.take(2 * CHUNK - 100, CHUNK)

    assert len(first) == 100
    assert len(second) == CHUNK - 100
    assert len(pins.areas) == 1
    pages.give_back(second)
    assert len(pins.areas) == 1
    pages.give_back(first)
    assert not pins.areas


def test_what_came_back_of_a_chunk_is_taken_first() -> None:
    pages, pins = make()
    frames = pages.take(CHUNK, CHUNK)
    pages.give_back(frames[50:])

    assert set(pages.take(10, 10)) <= set(frames[50:])
    assert len(pins.areas) == 1


def test_a_chunk_is_no_larger_than_what_is_wanted() -> None:
    pages, pins = make()
    pages.take(3, 256)

    assert [size for _, size in pins.areas.values()] == [3 * PAGE_SIZE]


def test_large_guests_have_larger_chunks() -> None:
    pages, pins = make(memory_size=64 * GIB)
    pages.take(1 << 20, 256)

    assert [size for _, size in pins.areas.values()] == [8 * MIB]


def test_no_memory_is_no_error() -> None:
    pages, pins = make(FakePins(most=MIB))
    taken = pages.take(1000, 256)

    assert len(taken) == CHUNK
    assert pages.take(1000, 256) == []
    pages.give_back(taken)
    assert not pins.areas


def test_locked_pages_are_looked_at_again() -> None:
    frames = FakeFrames()
    pages = BalloonPages(FakePins(holds=False), frames, memory_size=GIB)
    before = pages.take(CHUNK, 100)
    assert pages.moved(before) == 0
    frames.shift = 5000

    assert pages.moved(before) == 100
    after = pages.take(CHUNK - 100, CHUNK)
    assert min(after) >= 5000 + min(before) - CHUNK
    assert not set(after) & set(before)


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=30), st.randoms())
def test_no_page_is_had_twice_and_none_is_kept(
    steps: list[tuple[bool, int]], random: object
) -> None:
    pages, pins = make()
    out: list[int] = []
    for take, count in steps:
        if take:
            taken = pages.take(count, 256)
            assert taken
            assert not set(taken) & set(out)
            out += taken
        else:
            back, out = out[-count:], out[:-count]
            pages.give_back(reversed(back))
    assert sum(size for _, size in pins.areas.values()) >= len(out) * PAGE_SIZE
    random.shuffle(out)  # type: ignore[attr-defined]
    pages.give_back(out)

    assert not pins.areas


# The kernel's own


@pytest.fixture
def uring() -> Iterator[Pins]:
    try:
        pins = UringPins()
    except MissingError as error:
        pytest.skip(str(error))
    yield pins
    pins.close()


def test_the_kernel_pins_unpins_and_pins_again(uring: Pins) -> None:
    mapping = mmap.mmap(-1, MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = address_of(mapping)
    for _ in range(3):
        assert uring.pin(7, address, MIB)
        uring.unpin(7, address, MIB)

    assert not uring.pin(7, 1 << 30, MIB), "nothing is mapped there"
    mapping.close()


def test_pinned_pages_have_frames(uring: Pins) -> None:
    pagemap = Pagemap()
    pages = BalloonPages(uring, pagemap, memory_size=GIB)
    try:
        frames = pages.take(300, 300)
    except NotPermittedError as error:
        pytest.skip(str(error))
    finally:
        pagemap.close()

    assert len(set(frames)) == min(300, CHUNK)
    pages.give_back(frames)


def test_frames_that_are_hidden_are_not_taken_for_frame_0(tmp_path: Path) -> None:
    file = tmp_path / "pagemap"
    file.write_bytes((1 << 63).to_bytes(8, "little") * 4)
    pagemap = Pagemap(str(file))

    with pytest.raises(NotPermittedError, match="CAP_SYS_ADMIN"):
        pagemap.frames(0, 4)
    pagemap.close()


def test_pages_that_are_not_in_memory_have_frame_0(tmp_path: Path) -> None:
    file = tmp_path / "pagemap"
    file.write_bytes((5 | 1 << 63).to_bytes(8, "little") + bytes(8))
    pagemap = Pagemap(str(file))

    assert pagemap.frames(0, 2) == [5, 0]
    pagemap.close()
    with pytest.raises(MissingError, match="nowhere"):
        Pagemap(str(tmp_path / "nowhere"))
