"""Descriptor chains: framing, indirect tables, and everything that must not be followed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.testing.mocks.driver import DriverRing, make_memory
from aerostat.virtio.chain import (
    INDIRECT,
    MAX_TABLE_DESCRIPTORS,
    NEXT,
    WRITE,
    BadChain,
    Chain,
    walk,
)
from aerostat.virtio.memory import BadAddress

SIZE = 8
TABLE = 0x2000
DATA = 0x8000


class Table:
    """A descriptor table of 8 in memory, and room for indirect ones at 0x2000."""

    def __init__(self) -> None:
        self.memory = make_memory((0, 0x10000))
        self.ring = DriverRing(self.memory, SIZE, 0)
        self.direct = self.ring.write_descriptor

    def indirect(self, *entries: tuple[int, int, int, int]) -> int:
        """Write an indirect table; return its length in bytes."""
        for index, (address, length, flags, following) in enumerate(entries):
            fields = ((address, 8), (length, 4), (flags, 2), (following, 2))
            entry = b"".join(value.to_bytes(width, "little") for value, width in fields)
            self.memory.write(TABLE + 16 * index, entry)
        return 16 * len(entries)

    def walk(self, head: int = 0, *, indirect: bool = True) -> Chain:
        table = self.memory.area(self.ring.desc, 16 * SIZE)
        return walk(self.memory, table, head, indirect=indirect)


@pytest.fixture
def table() -> Table:
    return Table()


def test_readable_and_writable_buffers_keep_their_order(table: Table) -> None:
    table.direct(3, DATA, 10, NEXT, 1)
    table.direct(1, DATA + 16, 20, NEXT, 7)
    table.direct(7, DATA + 64, 30, WRITE | NEXT, 0)
    table.direct(0, DATA + 128, 40, WRITE)
    chain = table.walk(3)
    assert chain == Chain(3, ((DATA, 10), (DATA + 16, 20)), ((DATA + 64, 30), (DATA + 128, 40)))
    assert chain.readable_length == 30


def test_empty_buffers_are_left_out(table: Table) -> None:
    table.direct(0, DATA, 0, NEXT, 1)
    table.direct(1, DATA, 4, NEXT, 2)
    table.direct(2, DATA, 0, WRITE)
    assert table.walk() == Chain(0, ((DATA, 4),), ())


@pytest.mark.statement("VQ-DRV-3")
def test_vq_drv_3_a_chain_may_be_as_long_as_the_queue_but_not_longer(table: Table) -> None:
    for index in range(SIZE):
        table.direct(index, DATA + index, 1, NEXT if index < SIZE - 1 else 0, index + 1)
    assert table.walk().readable_length == SIZE
    table.direct(SIZE - 1, DATA, 1, NEXT, 0)
    with pytest.raises(BadChain, match="loop"):
        table.walk()


@pytest.mark.parametrize("links", [[0], [1, 0], [1, 2, 1]])
@pytest.mark.statement("VQ-DRV-3")
def test_vq_drv_3_loops_end(table: Table, links: list[int]) -> None:
    for index, following in enumerate(links):
        table.direct(index, DATA, 1, NEXT, following)
    with pytest.raises(BadChain, match="loop"):
        table.walk()


@pytest.mark.parametrize("following", [SIZE, SIZE + 1, 0xFFFF])
def test_next_outside_the_table(table: Table, following: int) -> None:
    table.direct(0, DATA, 1, NEXT, following)
    with pytest.raises(BadChain, match=f"next is {following}") as caught:
        table.walk()
    assert caught.value.head == 0


@pytest.mark.statement("VQ-DRV-2")
def test_vq_drv_2_readable_after_writable_is_refused(table: Table) -> None:
    table.direct(0, DATA, 1, WRITE | NEXT, 1)
    table.direct(1, DATA, 1)
    with pytest.raises(BadChain, match="readable"):
        table.walk()


def test_indirect_table_is_followed_by_its_own_links(table: Table) -> None:
    length = table.indirect(
        (DATA, 4, NEXT, 2),
        (DATA + 8, 6, WRITE, 0),
        (DATA + 4, 5, NEXT, 1),
    )
    table.direct(5, TABLE, length, INDIRECT)
    assert table.walk(5) == Chain(5, ((DATA, 4), (DATA + 4, 5)), ((DATA + 8, 6),))


@pytest.mark.statement("VQ-DEV-3")
def test_vq_dev_3_write_flag_on_indirect_table_is_ignored(table: Table) -> None:
    length = table.indirect((DATA, 4, 0, 0))
    table.direct(0, TABLE, length, INDIRECT | WRITE)
    assert table.walk() == Chain(0, ((DATA, 4),), ())


@pytest.mark.statement("VQ-DEV-3")
def test_vq_dev_3_direct_descriptors_may_precede_the_indirect_one(table: Table) -> None:
    length = table.indirect((DATA + 1, 4, 0, 0))
    table.direct(0, DATA, 1, NEXT, 1)
    table.direct(1, TABLE, length, INDIRECT)
    assert table.walk() == Chain(0, ((DATA, 1), (DATA + 1, 4)), ())


@pytest.mark.statement("VQ-DRV-4")
def test_vq_drv_4_indirect_needs_the_feature(table: Table) -> None:
    table.direct(0, TABLE, table.indirect((DATA, 4, 0, 0)), INDIRECT)
    with pytest.raises(BadChain):
        table.walk(indirect=False)


@pytest.mark.statement("VQ-DRV-4")
def test_vq_drv_4_indirect_tables_do_not_nest(table: Table) -> None:
    length = table.indirect((TABLE, 16, INDIRECT, 0))
    table.direct(0, TABLE, length, INDIRECT)
    with pytest.raises(BadChain):
        table.walk()


@pytest.mark.statement("VQ-DRV-4")
def test_vq_drv_4_an_indirect_descriptor_is_the_last(table: Table) -> None:
    length = table.indirect((DATA, 4, 0, 0))
    table.direct(0, TABLE, length, INDIRECT | NEXT, 1)
    table.direct(1, DATA, 4)
    with pytest.raises(BadChain):
        table.walk()


@pytest.mark.parametrize(
    "length", [0, 15, 17, 16 * (MAX_TABLE_DESCRIPTORS + 1), (1 << 32) - 16, (1 << 32) - 1]
)
def test_indirect_tables_of_impossible_length(table: Table, length: int) -> None:
    table.direct(0, TABLE, length, INDIRECT)
    with pytest.raises(BadChain, match="indirect table"):
        table.walk()


@pytest.mark.parametrize("address", [0xFFF8, 0x10000, (1 << 64) - 16])
def test_indirect_table_outside_memory(table: Table, address: int) -> None:
    table.direct(0, address, 16, INDIRECT)
    with pytest.raises(BadChain, match="outside memory"):
        table.walk()


def test_loop_within_an_indirect_table(table: Table) -> None:
    length = table.indirect((DATA, 4, NEXT, 1), (DATA, 4, NEXT, 0))
    table.direct(0, TABLE, length, INDIRECT)
    with pytest.raises(BadChain, match="loop"):
        table.walk()


def test_next_outside_an_indirect_table(table: Table) -> None:
    length = table.indirect((DATA, 4, NEXT, 2), (DATA, 4, 0, 0))
    table.direct(0, TABLE, length, INDIRECT)
    with pytest.raises(BadChain, match="next is 2 of 2"):
        table.walk()


def test_reading_stops_at_the_limit(table: Table) -> None:
    table.memory.write(DATA, b"abcdefgh")
    chain = Chain(0, ((DATA, 3), (DATA + 3, 1 << 32)), ())
    assert chain.read(table.memory, 5) == b"abcde"
    assert chain.read(table.memory, 3) == b"abc"
    with pytest.raises(BadAddress):
        chain.read(table.memory)


@given(
    st.binary(min_size=16 * SIZE, max_size=16 * SIZE),
    st.binary(min_size=64, max_size=64),
    st.integers(0, SIZE - 1),
)
@settings(max_examples=10 * settings().max_examples)
def test_any_table_is_a_chain_or_a_bad_chain(direct: bytes, nested: bytes, head: int) -> None:
    table = Table()
    table.memory.write(0, direct)
    table.memory.write(TABLE, nested)
    # Random bytes hardly ever name a table that is there: make one do so.
    address = bytearray(direct[16 * head : 16 * head + 16])
    address[:12] = TABLE.to_bytes(8, "little") + (64).to_bytes(4, "little")
    table.memory.write(16 * head, bytes(address))
    try:
        chain = table.walk(head)
        found = chain.head
        assert len(chain.readable) + len(chain.writable) <= SIZE + MAX_TABLE_DESCRIPTORS
    except BadChain as error:
        found = error.head
    assert found == head
