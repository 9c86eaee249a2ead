"""The driver's side of a packed ring: against our device's, a model, and hostile devices."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from aerostat.errors import UsageError
from aerostat.testing.mocks.driver import make_memory
from aerostat.virtio.chain import DESCRIPTORS, INDIRECT, NEXT, WRITE, Chain
from aerostat.virtio.driver_packed_ring import DriverPackedRing, lay_out_packed
from aerostat.virtio.packed_ring import AVAIL, USED, PackedRing, encode_base
from aerostat.virtio.ring import BrokenRing, RingLayout, Used

DATA = 0x8000
TABLES = 0x4000


class Ends:
    """Both ends of a ring of `size`, which begin at position `start`."""

    def __init__(self, size: int = 8, start: int = 0, memory_size: int = 0x10000) -> None:
        self.memory = make_memory((0, memory_size))
        layout = lay_out_packed(0, size)
        self.driver = DriverPackedRing(self.memory, size, layout, start=start)
        if start >= size:  # as a first round would have left it
            self.memory.write(16 * (size - 1) + 14, (AVAIL | USED).to_bytes(2, "little"))
        base = encode_base(size, start, start)
        self.device = PackedRing(self.memory, size, *layout[:3], base)

    def descriptor(self, slot: int) -> tuple[int, ...]:
        return DESCRIPTORS["little"].unpack(self.memory.read(16 * slot, 16))

    def serve(self, written: int = 0) -> Chain:
        chain = self.device.pop()
        assert chain
        self.device.push(chain.head, written)
        return chain


# Where a ring lies


def test_areas_are_aligned_and_do_not_overlap() -> None:
    assert lay_out_packed(0x1000, 3) == RingLayout(0x1000, 0x1030, 0x1034, 0x1038)


@pytest.mark.parametrize(("address", "size"), [(8, 8), (0, 0), (0, 32769)])
def test_what_the_specification_forbids_is_not_laid_out(address: int, size: int) -> None:
    with pytest.raises(UsageError):
        lay_out_packed(address, size)


def test_what_was_in_the_memory_of_a_new_ring_is_gone() -> None:
    memory = make_memory((0, 0x1000))
    memory.write(0, b"\xff" * 0x1000)
    layout = lay_out_packed(0, 8)
    ring = DriverPackedRing(memory, 8, layout)
    assert memory.read(0, layout.end) == bytes(layout.end)
    assert ring.collect() == []


@pytest.mark.parametrize("size", [1, 2, 3, 100, 32768])
def test_every_legal_size_works(size: int) -> None:
    ends = Ends(size, memory_size=0x100000)
    for start in (0, size - 1, size, 2 * size - 1):
        ends = Ends(size, start, 0x100000)
        for _ in range(3):
            head = ends.driver.add([(DATA, 1)])
            assert ends.serve() == Chain(head, ((DATA, 1),), ())
            assert ends.driver.collect() == [Used(head, 0)]


# What a driver writes


@pytest.mark.statement("PK-1", "PK-2")
def test_a_list_is_what_was_asked_for() -> None:
    ends = Ends(3, start=1)
    ends.driver._ids.rotate(-2)
    head = ends.driver.add([(DATA, 5), (DATA + 8, 6)], [(DATA + 16, 7)])
    assert head == 2
    assert ends.descriptor(1) == (DATA, 5, 2, NEXT | AVAIL)
    assert ends.descriptor(2) == (DATA + 8, 6, 2, NEXT | AVAIL)
    assert ends.descriptor(0) == (DATA + 16, 7, 2, WRITE | USED)  # in the second round
    assert ends.device.pop() == Chain(head, ((DATA, 5), (DATA + 8, 6)), ((DATA + 16, 7),))
    assert (ends.driver.free, ends.driver.outstanding) == (0, 1)


@pytest.mark.statement("PK-5")
def test_an_indirect_table_holds_the_chain_and_stands_alone() -> None:
    ends = Ends()
    head = ends.driver.add([(DATA, 1)], [(DATA + 1, 2), (DATA + 3, 3)], table=TABLES)
    assert ends.descriptor(0) == (TABLES, 48, head, INDIRECT | AVAIL)
    raw = ends.memory.read(TABLES, 48)
    assert list(DESCRIPTORS["little"].iter_unpack(raw)) == [
        (DATA, 1, 0, 0),
        (DATA + 1, 2, 0, WRITE),  # no other flag (2.8.19)
        (DATA + 3, 3, 0, WRITE),
    ]
    assert ends.driver.free == 7
    assert ends.device.pop() == Chain(head, ((DATA, 1),), ((DATA + 1, 2), (DATA + 3, 3)))


@pytest.mark.statement("PK-4")
def test_the_list_is_there_before_the_first_flags_say_so() -> None:
    ends = Ends()
    seen: list[bytes] = []
    publish = ends.driver._words.publish

    class Watching:
        def publish(self, index: int, value: int) -> None:
            seen.append(ends.memory.read(0, 48))
            publish(index, value)

    ends.driver._words = Watching()  # type: ignore[assignment]  # only publish is called
    ends.driver.add([(DATA, 1), (DATA, 2)])
    pack = DESCRIPTORS["little"].pack
    assert seen == [pack(DATA, 1, 0, 0) + pack(DATA, 2, 0, AVAIL) + bytes(16)]


@pytest.mark.parametrize("table", [0, TABLES])
def test_no_chain_is_empty_or_longer_than_the_ring(table: int) -> None:
    ends = Ends(4)
    for count in (0, 5):
        with pytest.raises(UsageError, match=f"chain of {count}"):
            ends.driver.add([(DATA, 1)] * count, table=table)
    assert not ends.device.waiting
    assert ends.driver.free == 4


def test_no_chain_has_more_than_4_gib() -> None:
    ends = Ends(4)
    for lengths in ([1 << 32], [0xFFFFFFFF, 2], [-1, 5]):
        with pytest.raises(UsageError, match="bytes"):
            ends.driver.add((), [(DATA, length) for length in lengths])


def test_a_full_ring_says_so_and_is_not_harmed() -> None:
    ends = Ends(2)
    ends.driver.add([(DATA, 1)])
    with pytest.raises(UsageError, match="1 free"):
        ends.driver.add([(DATA, 1), (DATA, 1)])
    ends.driver.add([(DATA, 2)])
    with pytest.raises(UsageError, match="0 free"):
        ends.driver.add([(DATA, 1)])
    with pytest.raises(UsageError, match="in use"):
        _ = ends.driver.next_head
    assert [chain and chain.readable for chain in (ends.device.pop(), ends.device.pop())] == [
        ((DATA, 1),),
        ((DATA, 2),),
    ]


@pytest.mark.statement("PK-6")
def test_all_events_are_asked_for() -> None:
    ends = Ends(2)
    layout = ends.driver.layout
    for _ in range(5):
        ends.driver.add([(DATA, 1)])
        ends.serve()
        ends.driver.collect()
        assert ends.memory.read(layout.avail, 8) == bytes(8)


# What a device does


def test_a_length_without_write_means_nothing() -> None:
    ends = Ends()
    head = ends.driver.add((), [(DATA, 4)])
    ends.memory.write(8, (99).to_bytes(4, "little") + bytes(2))
    ends.memory.write(14, (AVAIL | USED).to_bytes(2, "little"))
    assert ends.driver.collect() == [Used(head, 0)]


@pytest.mark.parametrize("head", [1, 8, 0xFFFF])
def test_an_id_that_the_device_does_not_have_breaks_the_ring(head: int) -> None:
    ends = Ends()
    ends.driver.add([(DATA, 1)])
    pack = DESCRIPTORS["little"].pack
    ends.memory.write(0, pack(0, 0, head, AVAIL | USED))
    with pytest.raises(BrokenRing, match=f"used {head}, which"):
        ends.driver.collect()
    ends.memory.write(0, pack(0, 0, 0, AVAIL | USED))  # as if nothing had happened
    with pytest.raises(BrokenRing):
        ends.driver.collect()
    assert ends.driver.broken


def test_what_came_back_before_the_break_is_not_lost() -> None:
    ends = Ends()
    first, second = ends.driver.add([(DATA, 1)]), ends.driver.add([(DATA, 1)])
    pack = DESCRIPTORS["little"].pack
    ends.memory.write(0, pack(0, 3, second, AVAIL | USED | WRITE))
    ends.memory.write(16, pack(0, 3, second, AVAIL | USED))
    assert ends.driver.collect() == [Used(second, 3)]
    with pytest.raises(BrokenRing, match=f"used {second}, which"):
        ends.driver.collect()
    assert (ends.driver.outstanding, first) == (1, 0)


def test_the_base_is_where_an_orderly_device_goes_on() -> None:
    """Whether the driver has looked already or not."""
    ends = Ends(3)
    for _ in range(7):
        ends.driver.add([(DATA, 1)])
        ends.driver.add([(DATA, 1)])
        ends.serve()
        assert ends.driver.base == encode_base(3, *2 * (ends.device._next_used,))
        ends.driver.collect()
        assert ends.driver.base == encode_base(3, *2 * (ends.device._next_used,))
        ends.serve()
        assert ends.driver.base == ends.device.base
        ends.driver.collect()


class RingModel(RuleBasedStateMachine):
    """Both ends of a ring behave as lists do, over many rounds of it.

    Chains come back in any order, whatever the ring's size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ends = Ends()
        self.offered: list[Chain] = []
        self.taken: list[int] = []
        self.returned: list[Used] = []
        self.lengths_out: dict[int, int] = {}  # in descriptors, by head

    @initialize(size=st.sampled_from([1, 2, 3, 5, 16]), start=st.integers(0, 31))
    def open(self, size: int, start: int) -> None:
        self.ends = Ends(size, start % (2 * size))

    lengths = st.lists(st.integers(1, 1 << 29), max_size=3)

    @rule(readable=lengths, writable=lengths, indirect=st.booleans())
    def add(self, readable: list[int], writable: list[int], indirect: bool) -> None:
        driver = self.ends.driver
        count = len(readable) + len(writable)
        fits = 0 < count <= driver.size and (1 if indirect else count) <= driver.free
        buffers = [(DATA + n, length) for n, length in enumerate(readable + writable)]
        into, out = buffers[: len(readable)], buffers[len(readable) :]
        with contextlib.nullcontext() if fits else pytest.raises(UsageError):
            table = TABLES + 0x100 * driver.next_head if indirect else 0
            head = driver.add(into, out, table=table)
            self.offered.append(Chain(head, tuple(into), tuple(out)))
            self.lengths_out[head] = 1 if indirect else count

    @rule(times=st.integers(1, 4))
    def pop(self, times: int) -> None:
        for _ in range(times):
            expected = self.offered.pop(0) if self.offered else None
            assert self.ends.device.pop() == expected
            if expected:
                self.taken.append(expected.head)

    @precondition(lambda self: bool(self.offered))
    @rule()
    def change_ones_mind(self) -> None:
        assert self.ends.device.pop()
        self.ends.device.unpop()

    @precondition(lambda self: bool(self.taken))
    @rule(data=st.data())
    def push(self, data: st.DataObject) -> None:
        head = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1)))
        written = data.draw(st.integers(0, (1 << 32) - 1))
        self.ends.device.push(head, written)
        self.returned.append(Used(head, written))

    @rule()
    def collect(self) -> None:
        assert self.ends.driver.collect() == self.returned
        for used in self.returned:
            del self.lengths_out[used.head]
        self.returned = []

    @precondition(lambda self: not self.taken)
    @rule()
    def replace_the_device(self) -> None:
        """By what either side says of where it is."""
        base = self.ends.driver.base
        assert base == self.ends.device.base
        driver = self.ends.driver
        self.ends.device.release()
        self.ends.device = PackedRing(self.ends.memory, driver.size, *driver.layout[:3], base)

    @invariant()
    def the_counts_agree(self) -> None:
        assert self.ends.device.waiting == bool(self.offered)
        waiting = len(self.offered) + len(self.taken) + len(self.returned)
        assert self.ends.driver.outstanding == waiting
        assert self.ends.driver.free == self.ends.driver.size - sum(self.lengths_out.values())
        assert not self.ends.driver.broken


TestRingModel = RingModel.TestCase
TestRingModel.settings = settings(stateful_step_count=40)


@given(st.binary(min_size=48, max_size=48), st.integers(1, 3))
@settings(max_examples=2 * settings().max_examples)
def test_garbage_in_the_ring_gives_each_chain_back_once_or_breaks_it(
    garbage: bytes, chains: int
) -> None:
    ends = Ends(3)
    heads = {ends.driver.add([(DATA, 1)]) for _ in range(chains)}
    for slot in range(3):
        part = garbage[16 * slot : 16 * slot + 16]
        # Half of the time an id that can be, marked as used.
        if part[0] & 1:
            part = part[:12] + bytes([part[12] % 4, 0, part[14] | 0x80, part[15] | 0x80])
        ends.memory.write(16 * slot, part)
    back: list[int] = []
    _ = ends.driver.base  # may be asked for at any time
    for _ in range(3):
        try:
            back += [used.head for used in ends.driver.collect()]
        except BrokenRing:
            assert ends.driver.broken
    assert len(set(back)) == len(back)
    assert set(back) <= heads
    assert ends.driver.outstanding == chains - len(back)
