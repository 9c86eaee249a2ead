"""A packed ring whose driver writes anything into it, at any moment."""

from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.pens import PackedPen
from aerostat.testing.fuzz.targets.yard import Yard
from aerostat.virtio.chain import BadChain, Chain
from aerostat.virtio.packed_ring import PackedRing
from aerostat.virtio.ring import BrokenRing, DeviceSide

_AT, _TABLES = 0x1000, 0x4000
_FLAGS = (0, 0, 2, 1, 3, 4, 5, 6, 0x7FFF)


def run(case: bytes) -> None:
    """Take chains and give them back, while the driver writes."""
    source = Source(case)
    yard = Yard.of(source)
    size = source.choose((8, 1, 2, 3, 5, 16, 60))
    yard.memory.write(_TABLES, source.blob(64))
    pen = PackedPen(_AT, size)
    if source.chance(10):
        PackedRing(yard.memory, source.number(17), *(source.number(16) for _ in range(3))).release()
    base = source.number(32) if source.chance(20) else None
    ring = pen.ring(yard.memory, base, indirect=not source.chance(20))
    taken: list[Chain] = []
    try:
        while source.left:
            _step(source, yard, pen, ring, taken)
            assert 0 <= ring.base <= 0xFFFF_FFFF
    finally:
        ring.release()
    yard.check()


def _step(source: Source, yard: Yard, pen: PackedPen, ring: DeviceSide, taken: list[Chain]) -> None:
    match source.below(8):
        case 0 | 1:
            flags = source.choose(_FLAGS)
            address = source.near(_TABLES, 64) if flags & 4 else yard.address(source)
            length = source.near(16 * source.below(5), 32)
            pen.offer(source, yard.memory, address, length, flags)
        case 2:
            yard.memory.write(_AT + source.below(16 * pen.size + 8), source.blob(16))
        case 3 | 4:
            _take(ring, taken)
        case 5 if taken:
            before = yard.memory.read(0, _AT), yard.memory.read(_AT + 16 * pen.size, 0x3000)
            ring.push(taken.pop(0).head, source.number(32))
            after = yard.memory.read(0, _AT), yard.memory.read(_AT + 16 * pen.size, 0x3000)
            assert before == after, "written outside of the ring"
        case 6:
            _take(ring, taken, put_back=True)
        case _:
            ring.rebind(yard.memory, *pen.parts)
            assert isinstance(ring.begun, bool)


def _take(ring: DeviceSide, taken: list[Chain], *, put_back: bool = False) -> None:
    before, waiting = ring.base, ring.waiting
    try:
        chain = ring.pop()
    except BadChain as error:
        chain = Chain(error.head, (), ())
    except BrokenRing:
        assert ring.base == before
        return
    assert waiting == (chain is not None)
    if chain is None:
        return
    assert chain.head not in {other.head for other in taken}
    if put_back:
        ring.unpop()
        assert ring.base == before
    else:
        taken.append(chain)


TARGET = Target("packed-ring", "the device's side of a packed ring", run)
