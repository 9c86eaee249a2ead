"""The driver's side of a split ring: against our device's, a model, and hostile devices."""

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
from aerostat.virtio.driver_ring import DriverRing, RingLayout, Used, lay_out
from aerostat.virtio.memory import Byteorder
from aerostat.virtio.split_ring import BrokenRing, SplitRing

DATA = 0x8000
TABLES = 0x4000
ORDERS: list[Byteorder] = ["little", "big"]


class Ends:
    """Both ends of a ring of `size`, and the raw words of its used ring."""

    def __init__(self, size: int = 8, byteorder: Byteorder = "little", start: int = 0) -> None:
        self.memory = make_memory((0, 0x10000))
        layout = lay_out(0, size)
        self.driver = DriverRing(self.memory, size, layout, byteorder=byteorder, start=start)
        parts = (layout.desc, layout.avail, layout.used)
        self.device = SplitRing(self.memory, size, *parts, start, byteorder=byteorder)

    def descriptor(self, index: int, byteorder: Byteorder = "little") -> tuple[int, ...]:
        raw = self.memory.read(self.driver.layout.desc + 16 * index, 16)
        return DESCRIPTORS[byteorder].unpack(raw)


# Where a ring lies


@pytest.mark.statement("VQ-DRV-1")
@pytest.mark.parametrize("align", [4, 64, 4096])
def test_areas_are_aligned_and_do_not_overlap(align: int) -> None:
    for size in (1, 2, 8, 128, 32768):
        desc, avail, used, end = lay_out(0x10, size, align)
        assert desc == 0x10
        assert avail == desc + 16 * size
        assert used % align == 0
        assert avail + 6 + 2 * size <= used < avail + 6 + 2 * size + align
        assert used + 6 + 8 * size <= end < used + 6 + 8 * size + align


@pytest.mark.statement("LEG-VQ-1")
def test_the_legacy_layout_is_that_of_virtio_pci() -> None:
    """As 2.7.2 computes it: the used ring on the next page, the whole a number of pages."""
    assert lay_out(0x1000, 128, align=4096) == RingLayout(0x1000, 0x1800, 0x2000, 0x3000)
    assert lay_out(0x10000, 256, align=4096) == RingLayout(0x10000, 0x11000, 0x12000, 0x13000)


@pytest.mark.parametrize(
    ("address", "size", "align"),
    [(8, 8, 4), (0, 0, 4), (0, 6, 4), (0, 65536, 4), (0, 8, 2), (0, 8, 48)],
)
def test_what_the_specification_forbids_is_not_laid_out(
    address: int, size: int, align: int
) -> None:
    with pytest.raises(UsageError):
        lay_out(address, size, align)


@pytest.mark.statement("VQ-DRV-9")
def test_what_was_in_the_memory_of_a_new_ring_is_gone() -> None:
    memory = make_memory((0, 0x1000))
    memory.write(0, b"\xff" * 0x1000)
    layout = lay_out(0, 8)
    ring = DriverRing(memory, 8, layout)
    assert memory.read(0, layout.end) == bytes(layout.end)
    assert ring.collect() == []


# What a driver writes


@pytest.mark.statement("VQ-DRV-2")
@pytest.mark.parametrize("byteorder", ORDERS)
def test_a_chain_is_what_was_asked_for(byteorder: Byteorder) -> None:
    ends = Ends(8, byteorder)
    head = ends.driver.add([(DATA, 5), (DATA + 8, 6)], [(DATA + 16, 7)])
    assert ends.descriptor(0, byteorder) == (DATA, 5, NEXT, 1)
    assert ends.descriptor(1, byteorder) == (DATA + 8, 6, NEXT, 2)
    assert ends.descriptor(2, byteorder) == (DATA + 16, 7, WRITE, 0)
    chain = ends.device.pop()
    assert chain == Chain(head, ((DATA, 5), (DATA + 8, 6)), ((DATA + 16, 7),))
    assert (ends.driver.free, ends.driver.outstanding) == (5, 1)


@pytest.mark.statement("LEG-VQ-2")
def test_a_big_endian_ring_byte_by_byte() -> None:
    """A legacy guest's own order, in every part (2.7.3)."""
    ends = Ends(2, "big")
    ends.driver.add([(DATA, 5)])
    ends.device.push(0, 7)
    layout = ends.driver.layout
    assert ends.memory.read(0, 16) == bytes.fromhex("0000000000008000 00000005 0000 0000")
    assert ends.memory.read(layout.avail, 8) == bytes.fromhex("0000 0001 0000 0000")
    assert ends.memory.read(layout.used, 12) == bytes.fromhex("0000 0001 00000000 00000007")


@pytest.mark.statement("VQ-DRV-4")
def test_an_indirect_table_holds_the_chain_and_stands_alone() -> None:
    ends = Ends()
    head = ends.driver.add([(DATA, 1)], [(DATA + 1, 2), (DATA + 3, 3)], table=TABLES)
    assert ends.descriptor(head) == (TABLES, 48, INDIRECT, 0)
    raw = ends.memory.read(TABLES, 48)
    assert list(DESCRIPTORS["little"].iter_unpack(raw)) == [
        (DATA, 1, NEXT, 1),
        (DATA + 1, 2, NEXT | WRITE, 2),
        (DATA + 3, 3, WRITE, 0),
    ]
    assert ends.driver.free == 7
    assert ends.device.pop() == Chain(head, ((DATA, 1),), ((DATA + 1, 2), (DATA + 3, 3)))


@pytest.mark.statement("VQ-DRV-3")
@pytest.mark.parametrize("table", [0, TABLES])
def test_no_chain_is_empty_or_longer_than_the_ring(table: int) -> None:
    ends = Ends(4)
    for count in (0, 5):
        with pytest.raises(UsageError, match=f"chain of {count}"):
            ends.driver.add([(DATA, 1)] * count, table=table)
    assert ends.device.pending == 0
    assert ends.driver.free == 4


@pytest.mark.statement("VQ-DRV-3")
def test_no_chain_has_more_than_4_gib() -> None:
    ends = Ends(4)
    for lengths in ([1 << 32], [0xFFFFFFFF, 2], [-1, 5]):
        with pytest.raises(UsageError, match="bytes"):
            ends.driver.add((), [(DATA, length) for length in lengths])
    ends.driver.add((), [(DATA, 0xFFFFFFFF), (DATA, 1)])
    assert (ends.driver.free, ends.device.pending) == (2, 1)


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


@pytest.mark.statement("VQ-DRV-6")
def test_the_entry_and_the_chain_are_there_before_the_index_says_so() -> None:
    ends = Ends()
    layout = ends.driver.layout
    seen: list[bytes] = []
    publish = ends.driver._avail.publish

    class Watching:
        store = ends.driver._avail.store

        def publish(self, index: int, value: int) -> None:
            seen.append(ends.memory.read(layout.avail + 2, 4) + ends.memory.read(16 * 3, 16))
            publish(index, value)

    ends.driver._free.rotate(-3)
    ends.driver._avail = Watching()  # type: ignore[assignment]  # only these two are called
    assert ends.driver.add([(DATA, 9)]) == 3
    assert seen == [bytes.fromhex("0000 0300") + DESCRIPTORS["little"].pack(DATA, 9, 0, 0)]


@pytest.mark.statement("VQ-DRV-5", "VQ-DRV-7")
def test_the_avail_index_counts_up_and_flags_stay_clear() -> None:
    ends = Ends(2, start=65534)
    words = ends.memory.words16(ends.driver.layout.avail, 5)
    indices = []
    for _ in range(4):
        head = ends.driver.add([(DATA, 1)])
        indices.append(words.load(1))
        assert words.load(0) == 0
        assert words.load(4) == 0  # used_event
        ends.device.pop()
        ends.device.push(head)
        ends.driver.collect()
    assert indices == [65535, 0, 1, 2]


# What a device does


@pytest.mark.statement("VQ-DRV-9")
def test_looking_again_finds_nothing() -> None:
    ends = Ends()
    ends.driver.add([(DATA, 1)])
    assert ends.driver.collect() == []
    ends.device.pop()
    assert ends.driver.collect() == []


@pytest.mark.parametrize("byteorder", ORDERS)
@pytest.mark.parametrize("jump", [2, 9, 0x8000, 0xFFFF])
def test_a_jump_of_the_used_index_breaks_the_ring(jump: int, byteorder: Byteorder) -> None:
    ends = Ends(8, byteorder)
    ends.driver.add([(DATA, 1)])
    used = ends.memory.words16(ends.driver.layout.used, 2, byteorder)
    used.store(1, jump)
    with pytest.raises(BrokenRing, match=f"used {jump} chains and has 1"):
        ends.driver.collect()
    assert ends.driver.broken


@pytest.mark.parametrize("head", [1, 7, 8, 0xFFFFFFFF])
def test_an_id_that_the_device_does_not_have_breaks_the_ring(head: int) -> None:
    """One that is free, within a chain but not its head, beyond the ring, beyond reason."""
    ends = Ends()
    ends.driver.add([(DATA, 1), (DATA, 1)])
    ends.device.push(head)
    with pytest.raises(BrokenRing, match=f"used {head}, which"):
        ends.driver.collect()


def test_what_came_back_before_the_break_is_not_lost() -> None:
    ends = Ends()
    first, second = ends.driver.add([(DATA, 1)]), ends.driver.add([(DATA, 1)])
    ends.device.push(second, 3)
    ends.device.push(second)
    assert ends.driver.collect() == [Used(second, 3)]
    assert ends.driver.broken
    with pytest.raises(BrokenRing, match=f"used {second}, which"):
        ends.driver.collect()
    assert ends.driver.outstanding == 1
    assert first == 0


def test_a_broken_ring_stays_broken() -> None:
    """Otherwise an id that was used too early would count once the driver uses it again."""
    ends = Ends(1)
    head = ends.driver.add([(DATA, 1)])
    ends.device.push(head)
    ends.device.push(head)
    with pytest.raises(BrokenRing):
        ends.driver.collect()
    used = ends.memory.words16(ends.driver.layout.used, 2)
    used.store(1, 1)  # as if nothing had happened
    with pytest.raises(BrokenRing):
        ends.driver.collect()


class RingModel(RuleBasedStateMachine):
    """Both ends of a ring behave as lists do, across the wrap of the indices.

    Chains come back in any order, whatever the ring's size and order of bytes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ends = Ends()
        self.offered: list[Chain] = []
        self.taken: list[int] = []
        self.returned: list[Used] = []

    @initialize(
        size=st.sampled_from([1, 2, 4, 16]),
        byteorder=st.sampled_from(ORDERS),
        start=st.sampled_from([0, 65520, 65535]),
    )
    def open(self, size: int, byteorder: Byteorder, start: int) -> None:
        self.ends = Ends(size, byteorder, start)

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

    @rule(times=st.integers(1, 4))
    def pop(self, times: int) -> None:
        for _ in range(times):
            expected = self.offered.pop(0) if self.offered else None
            assert self.ends.device.pop() == expected
            if expected:
                self.taken.append(expected.head)

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
        self.returned = []

    @invariant()
    def the_counts_agree(self) -> None:
        assert self.ends.device.pending == len(self.offered)
        waiting = len(self.offered) + len(self.taken) + len(self.returned)
        assert self.ends.driver.outstanding == waiting
        assert not self.ends.driver.broken


TestRingModel = RingModel.TestCase
TestRingModel.settings = settings(stateful_step_count=40)


@given(st.binary(min_size=38, max_size=38), st.integers(1, 4), st.sampled_from(ORDERS))
@settings(max_examples=2 * settings().max_examples)
def test_garbage_in_the_used_ring_gives_each_chain_back_once_or_breaks_it(
    garbage: bytes, chains: int, byteorder: Byteorder
) -> None:
    ends = Ends(4, byteorder)
    heads = {ends.driver.add([(DATA, 1)]) for _ in range(chains)}
    # Half of the time the index is one that can be.
    count = garbage[0] % 8
    index = count.to_bytes(2, byteorder) if garbage[1] & 1 else garbage[2:4]
    small = b"".join((garbage[n] % 5).to_bytes(4, byteorder) for n in range(4, 12))
    elements = small if garbage[1] & 2 else garbage[4:36]
    ends.memory.write(ends.driver.layout.used, garbage[:2] + index + elements)
    back: list[int] = []
    for _ in range(3):
        try:
            back += [used.head for used in ends.driver.collect()]
        except BrokenRing:
            assert ends.driver.broken
    assert len(set(back)) == len(back)
    assert set(back) <= heads
    assert ends.driver.outstanding == chains - len(back)
