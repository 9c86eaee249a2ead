"""The device's side of a packed ring, descriptor by descriptor and against garbage."""

import contextlib
import mmap
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.errors import UsageError
from aerostat.testing.mocks.driver import make_memory
from aerostat.virtio.chain import DESCRIPTORS, INDIRECT, NEXT, WRITE, BadChain, Chain
from aerostat.virtio.driver_packed_ring import lay_out_packed
from aerostat.virtio.memory import BadAddress, GuestMemory, Region
from aerostat.virtio.packed_ring import AVAIL, FRESH, USED, PackedRing, encode_base
from aerostat.virtio.ring import BrokenRing

DATA = 0x8000
TABLE = 0x4000
SIZE = 8
PACK = DESCRIPTORS["little"].pack


class Device(PackedRing):
    """A ring of its own memory, whose descriptors a test writes as it likes."""

    def __init__(self, size: int = SIZE, base: int = FRESH, *, indirect: bool = True) -> None:
        memory = make_memory((0, 0x10000))
        super().__init__(memory, size, *lay_out_packed(0, size)[:3], base, indirect=indirect)

    def write(
        self, slot: int, flags: int, head: int = 0, address: int = DATA, length: int = 4
    ) -> None:
        self.memory.write(16 * slot, PACK(address, length, head, flags))

    def raw(self, slot: int) -> tuple[int, ...]:
        return DESCRIPTORS["little"].unpack(self.memory.read(16 * slot, 16))

    def succeed(self) -> None:
        """Begin again in the same memory, as another device to which the base was told."""
        base = self.base
        self.release()
        super().__init__(self.memory, self.size, *lay_out_packed(0, self.size)[:3], base)


@pytest.mark.statement("PK-1")
def test_wrap_counters_begin_at_1() -> None:
    """What neither side has marked is nobody's, and what the device marked is not taken again."""
    device = Device(2)
    assert device.pop() is None
    for flags in (0, USED, AVAIL | USED):
        device.write(0, flags)
        assert device.pop() is None
        assert not device.waiting
    device.write(0, AVAIL, head=1)
    assert device.waiting
    assert device.pop() == Chain(1, ((DATA, 4),), ())
    device.push(1)
    assert device.raw(0) == (DATA, 0, 1, AVAIL | USED)
    device.write(1, AVAIL)
    assert device.pop()
    device.push(0)
    # The second round is the other way round.
    for flags in (AVAIL, AVAIL | USED, 0):
        device.write(0, flags)
        assert device.pop() is None
    device.write(0, USED, head=1)
    assert device.pop()
    device.push(1)
    assert device.raw(0) == (DATA, 0, 1, 0)


@pytest.mark.statement("PK-2", "PK-3")
def test_a_list_is_used_as_one_and_passed_over() -> None:
    device = Device()
    device.write(0, AVAIL | NEXT, head=7, length=1)
    device.write(1, AVAIL | NEXT | WRITE, head=6, length=2)
    device.write(2, AVAIL | WRITE, head=5, length=3)
    device.write(3, AVAIL, head=2)
    assert device.pop() == Chain(5, ((DATA, 1),), ((DATA, 2), (DATA, 3)))
    before = device.memory.read(16, 32)
    device.push(5, 9)
    assert device.raw(0) == (DATA, 9, 5, AVAIL | USED | WRITE)
    assert device.memory.read(16, 32) == before
    assert device.pop() == Chain(2, ((DATA, 4),), ())
    device.push(2)
    assert device.raw(3) == (DATA, 0, 2, AVAIL | USED)


@pytest.mark.statement("PK-3")
def test_what_is_used_out_of_order_is_written_in_the_order_of_use() -> None:
    device = Device()
    for slot, flags, head in ((0, AVAIL | NEXT, 0), (1, AVAIL, 3), (2, AVAIL, 4)):
        device.write(slot, flags, head)
    assert [chain and chain.head for chain in (device.pop(), device.pop())] == [3, 4]
    device.push(4)
    assert device.raw(0)[2:] == (4, AVAIL | USED)
    device.push(3)
    assert device.raw(1)[2:] == (3, AVAIL | USED)
    assert device.base == encode_base(SIZE, 3, 3)


@pytest.mark.statement("PK-3")
def test_the_used_descriptor_is_there_before_its_flags_say_so() -> None:
    device = Device()
    device.write(0, AVAIL, head=5)
    device.pop()
    seen: list[bytes] = []
    publish = device._words.publish

    class Watching:
        def publish(self, index: int, value: int) -> None:
            seen.append(device.memory.read(8, 8))
            publish(index, value)

    device._words = Watching()  # type: ignore[assignment]  # only publish is called
    device.push(5, 9)
    assert seen == [bytes.fromhex("09000000 0500") + AVAIL.to_bytes(2, "little")]


@pytest.mark.statement("PK-6")
def test_event_structures_mean_nothing_and_stay_clear() -> None:
    """Every used buffer is to be told of, and all events are asked for (2.8.10)."""
    device = Device()
    events = lay_out_packed(0, SIZE)
    device.memory.write(events.avail, b"\xff\xff\xff\xff")
    device.write(0, AVAIL)
    assert device.pop()
    device.push(0)
    assert device.memory.read(events.used, 4) == bytes(4)


def test_an_indirect_table_is_read_to_its_end() -> None:
    """There NEXT, INDIRECT and ids mean nothing (2.8.7)."""
    device = Device()
    entries = [
        PACK(DATA, 1, 9, 0),
        PACK(DATA + 1, 2, 8, NEXT | INDIRECT | AVAIL),
        PACK(DATA + 3, 3, 7, WRITE),
    ]
    device.memory.write(TABLE, b"".join(entries))
    device.write(0, AVAIL | INDIRECT | WRITE, head=3, address=TABLE, length=48)
    assert device.pop() == Chain(3, ((DATA, 1), (DATA + 1, 2)), ((DATA + 3, 3),))


@pytest.mark.parametrize(
    ("flags", "address", "length"),
    [
        *((INDIRECT, TABLE, length) for length in (0, 15, 17, 16 * 1025)),
        (INDIRECT, 0xFFF8, 16),
        (INDIRECT, 1 << 63, 32),
    ],
)
def test_a_bad_table_is_given_back(flags: int, address: int, length: int) -> None:
    device = Device()
    device.write(0, AVAIL | flags, head=3, address=address, length=length)
    device.write(1, AVAIL, head=4)
    with pytest.raises(BadChain) as caught:
        device.pop()
    assert caught.value.head == 3
    device.push(3)
    assert device.pop() == Chain(4, ((DATA, 4),), ())


@pytest.mark.statement("PK-5")
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_table_in_a_list_is_given_back_whole(at: int) -> None:
    device = Device()
    for slot in range(3):
        flags = AVAIL | (NEXT if slot < 2 else 0) | (INDIRECT if slot == at else 0)
        device.write(slot, flags, head=6, address=TABLE, length=16)
    device.write(3, AVAIL, head=4)
    with pytest.raises(BadChain, match="in a list"):
        device.pop()
    device.push(6)
    assert device.pop() == Chain(4, ((DATA, 4),), ())


def test_a_table_that_was_not_agreed_on_is_given_back() -> None:
    device = Device(indirect=False)
    device.write(0, AVAIL | INDIRECT, head=3, address=TABLE, length=16)
    with pytest.raises(BadChain, match="not agreed"):
        device.pop()


def test_a_readable_buffer_after_a_writable_one_is_given_back() -> None:
    device = Device()
    device.write(0, AVAIL | NEXT | WRITE, head=1)
    device.write(1, AVAIL, head=2)
    with pytest.raises(BadChain, match="readable buffer after") as caught:
        device.pop()
    device.push(caught.value.head)
    assert device.base == encode_base(SIZE, 2, 2)


def test_empty_buffers_are_left_out() -> None:
    device = Device()
    device.write(0, AVAIL | NEXT, length=0)
    device.write(1, AVAIL | WRITE, head=1, length=0)
    assert device.pop() == Chain(1, (), ())


def test_a_list_without_end_breaks_the_ring() -> None:
    device = Device()
    for slot in range(SIZE):
        device.write(slot, AVAIL | NEXT)
    with pytest.raises(BrokenRing, match="more than 8"):
        device.pop()


def test_a_list_may_be_as_long_as_the_ring() -> None:
    device = Device()
    for slot in range(SIZE):
        device.write(slot, AVAIL | (NEXT if slot < SIZE - 1 else 0), length=slot + 1)
    chain = device.pop()
    assert chain
    assert len(chain.readable) == SIZE
    device.push(chain.head)
    assert device.base == encode_base(SIZE, SIZE, SIZE)


def test_a_list_into_what_is_in_hand_breaks_the_ring() -> None:
    device = Device(4)
    device.write(0, AVAIL, head=0)
    assert device.pop()
    for slot in range(1, 4):
        device.write(slot, AVAIL | NEXT)
    device.write(0, USED, head=1)
    with pytest.raises(BrokenRing, match="more than 3"):
        device.pop()


@pytest.mark.parametrize("flags", [0, USED, AVAIL | USED])
def test_a_list_that_is_not_all_there_breaks_the_ring(flags: int) -> None:
    device = Device()
    device.write(0, AVAIL | NEXT)
    device.write(1, flags)
    with pytest.raises(BrokenRing, match="not all available"):
        device.pop()


def test_an_id_in_flight_twice_breaks_the_ring() -> None:
    device = Device()
    device.write(0, AVAIL, head=5)
    device.write(1, AVAIL, head=5)
    assert device.pop()
    with pytest.raises(BrokenRing, match="id 5, which is in use"):
        device.pop()


@pytest.mark.parametrize("head", [0, SIZE, 0xFFFF])
def test_any_id_is_the_drivers_business(head: int) -> None:
    device = Device()
    device.write(0, AVAIL, head=head)
    chain = device.pop()
    assert chain
    assert chain.head == head
    device.push(head)
    assert device.raw(0)[2] == head


def test_nothing_is_given_back_that_was_not_taken() -> None:
    device = Device()
    device.write(0, AVAIL, head=5)
    assert device.pop()
    device.push(5)
    with pytest.raises(UsageError, match="id 5"):
        device.push(5)


# Where it begins


@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_successor_goes_on_from_the_base(size: int) -> None:
    device = Device(size)
    for number in range(5 * size):
        slot, second = number % size, number // size % 2
        device.write(slot, USED if second else AVAIL, head=number)
        chain = device.pop()
        assert chain
        assert chain.head == number
        device.unpop()  # as a held statistics buffer at a pause
        assert not device.begun or number
        device.succeed()
        assert device.pop() == chain
        device.push(number)
        device.succeed()
        assert device.pop() is None


def test_what_was_in_hand_is_found_again() -> None:
    """The base may say that it was taken, as QEMU's does after its device died."""
    device = Device()
    device.write(0, AVAIL, head=5)
    device.pop()
    assert device.base == 0x80008001
    device.succeed()
    assert device.pop() == Chain(5, ((DATA, 4),), ())


@pytest.mark.parametrize("base", [0, 0x8000, FRESH])
def test_front_ends_that_know_no_wrap_counters_begin_at_the_beginning(base: int) -> None:
    """User-mode Linux always says 0."""
    device = Device(SIZE, base)
    device.write(0, AVAIL, head=1)
    assert not device.begun
    assert device.pop()


def test_a_second_round_is_told_from_a_front_end_that_does_not_know() -> None:
    device = Device(2)
    for slot in (0, 1):
        device.write(slot, AVAIL, head=slot)
        assert device.pop()
        device.push(slot)
    assert device.base == 0
    device.succeed()
    assert device.begun
    device.write(0, USED)
    assert device.pop()


@pytest.mark.parametrize("slot", [SIZE, 0x7FFF])
def test_a_base_outside_the_ring_is_refused(slot: int) -> None:
    for wrap in (0, 0x8000):
        with pytest.raises(BrokenRing, match=f"descriptor {slot}"):
            Device(SIZE, (slot | wrap) << 16)


def test_a_ring_has_begun_when_a_buffer_was_used() -> None:
    device = Device(1)
    for number, flags in enumerate((AVAIL, USED, AVAIL)):
        assert device.begun == (number > 0)
        device.write(0, flags, head=number)
        assert device.pop()
        # With all of the ring out, a third round looks as the first one does.
        assert device.begun == (number == 1)
        device.push(number)
        assert device.begun


def test_rebinding_carries_on_in_other_memory() -> None:
    device = Device()
    device.write(0, AVAIL, head=5)
    device.pop()
    moved = make_memory((0x100000, 0x10000))
    moved.write(0x100000, device.memory.read(0, 0x10000))
    device.rebind(moved, *(0x100000 + part for part in lay_out_packed(0, SIZE)[:3]))
    device.push(5, 7)
    assert moved.read(0x100008, 6) == bytes.fromhex("07000000 0500")
    assert device.memory is moved


@pytest.mark.parametrize("size", [0, -1, 32769])
def test_sizes_are_1_to_32768(size: int) -> None:
    with pytest.raises(BrokenRing, match="descriptors"):
        PackedRing(make_memory((0, 0x100000)), size, 0, 0x90000, 0x90004)


@pytest.mark.parametrize("parts", [(8, 0x1000, 0x2000), (0, 0x1002, 0x2000), (0, 0x1000, 0x2002)])
def test_misaligned_parts_are_refused(parts: tuple[int, int, int]) -> None:
    with pytest.raises(BrokenRing, match="misaligned"):
        PackedRing(make_memory((0, 0x10000)), SIZE, *parts)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_each_part_must_be_in_memory_to_its_end(part: int) -> None:
    parts = [0, 0x1000, 0x2000]
    parts[part] = 0x10000 - (16 * SIZE, 4, 4)[part]
    PackedRing(make_memory((0, 0x10000)), SIZE, *parts)
    parts[part] += 16 if part == 0 else 4
    with pytest.raises(BrokenRing, match="outside"):
        PackedRing(make_memory((0, 0x10000)), SIZE, *parts)


def test_released_rings_let_the_memory_be_unmapped() -> None:
    mapping = mmap.mmap(-1, 0x1000)
    memory = GuestMemory([Region(0, 0x1000, 0, memoryview(mapping))])
    device = PackedRing(memory, SIZE, *lay_out_packed(0, SIZE)[:3])
    assert device.pop() is None
    device.release()
    memory.release()
    mapping.close()
    assert device.base == FRESH


# Garbage


def drain(device: PackedRing) -> int:
    """Take chains, read them and give them back until the ring ends or breaks; count them."""
    for served in range(2 * device.size):
        try:
            chain = device.pop()
        except BadChain as error:
            chain = Chain(error.head, (), ())
        except BrokenRing:
            return served
        if chain is None:
            return served
        assert len(chain.readable) + len(chain.writable) <= device.size + 1024
        with contextlib.suppress(BadAddress):
            assert len(chain.read(device.memory, 4096)) <= 4096
        device.push(chain.head)
    return 2 * device.size


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 8, 32]))
@settings(max_examples=3 * settings().max_examples)
@pytest.mark.statement("BAD-DEV-6")
def test_scribbled_rings_raise_only_peer_errors(seed: int, size: int) -> None:
    """Nonsense that is hard to tell from sense: most descriptors are marked as available."""
    source = Random(seed)
    memory = make_memory((0, 0x1000), (0x4000, 0x1000))
    start = source.randrange(2 * size)
    for slot in range(size):
        mark = AVAIL if slot >= start % size ^ (start >= size) else USED
        marks = source.choice([mark] * 6 + [0, AVAIL | USED])
        length = source.choice([0, 1, 16, 48, 4096, (1 << 32) - 16])
        flags = source.randrange(8) | marks
        descriptor = PACK(source.randrange(0x5800), length, source.randrange(size + 2), flags)
        memory.write(16 * slot, descriptor)
    base = encode_base(size, start, start)
    device = PackedRing(memory, size, *lay_out_packed(0, size)[:3], base)
    assert drain(device) <= 2 * size


@given(st.binary(min_size=72, max_size=72), st.sampled_from([1, 2, 3, 4]), st.integers(0, 1 << 32))
@settings(max_examples=2 * settings().max_examples)
def test_garbage_rings_raise_only_peer_errors(content: bytes, size: int, base: int) -> None:
    memory = make_memory((0, 0x1000))
    memory.write(0, content)
    with contextlib.suppress(BrokenRing):
        assert drain(PackedRing(memory, size, *lay_out_packed(0, size)[:3], base)) <= 2 * size
