"""Descriptor chains, direct and indirect, as a guest may write them."""

from aerostat.errors import PeerError
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.yard import Yard
from aerostat.virtio.chain import (
    DESCRIPTORS,
    INDIRECT,
    MAX_READ,
    MAX_TABLE_DESCRIPTORS,
    BadChain,
    Chain,
    walk,
)
from aerostat.virtio.memory import BadAddress, Byteorder

_FLAGS = (0, 1, 2, 3, 4, 5, 6, 7, 0xFFFF)
_SIZES = (8, 1, 2, 16, 64)
_TABLES_AT = 0x4000


def describe(source: Source, yard: Yard, count: int, byteorder: Byteorder) -> bytes:
    """Return a table of `count` descriptors, some of them sound."""
    pack = DESCRIPTORS[byteorder].pack
    table = b""
    for index in range(count):
        flags = source.choose(_FLAGS)
        if flags & INDIRECT:
            address = source.near(_TABLES_AT, 64)
            length = source.near(16 * (1 + source.below(8)), 32)
        else:
            address, length = yard.address(source), source.number(32)
        following = source.near((index + 1) % max(count, 1), 16)
        table += pack(address, length, flags, following)
    return table


def run(case: bytes) -> None:
    """Walk one chain of a table, and read what it names."""
    source = Source(case)
    yard = Yard.of(source)
    byteorder: Byteorder = source.choose(("little", "big"))
    size = source.choose(_SIZES)
    indirect = not source.chance(20)
    yard.memory.write(_TABLES_AT, describe(source, yard, source.below(9), byteorder))
    table = memoryview(describe(source, yard, size, byteorder))
    head = source.below(size + 1)
    before = yard.content()
    try:
        chain = walk(yard.memory, table, head, indirect=indirect, byteorder=byteorder)
    except BadChain as error:
        chain = Chain(error.head, (), ())
    assert chain.head == head
    buffers = [*chain.readable, *chain.writable]
    assert len(buffers) <= max(size, MAX_TABLE_DESCRIPTORS)
    assert all(0 < length < 1 << 32 and 0 <= address < 1 << 64 for address, length in buffers)
    limit = source.near(MAX_READ, 24)
    try:
        data = chain.read(yard.memory, limit)
    except BadAddress:
        data = None
    if data is not None:
        assert len(data) == min(chain.readable_length, limit)
    assert yard.content() == before, "a device wrote"
    yard.check()


TARGET = Target("chain", "descriptor chains, direct and indirect", run, allowed=(PeerError,))
