"""The driver's side of a packed ring, whose device gives back what it likes."""

from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.driver_ring import collect, offer
from aerostat.testing.fuzz.targets.yard import Yard
from aerostat.virtio.chain import DESCRIPTORS
from aerostat.virtio.driver_packed_ring import DriverPackedRing, lay_out_packed
from aerostat.virtio.packed_ring import MARKS

_AT = 0x1000


def run(case: bytes) -> None:
    """Offer buffers, write into the ring what a device may not, and collect."""
    source = Source(case)
    yard = Yard.of(source)
    size = source.choose((8, 1, 2, 3, 5, 100))
    layout = lay_out_packed(_AT, size)
    position = source.below(2 * size)
    ring = DriverPackedRing(yard.memory, size, layout, start=position)
    out: dict[int, int] = {}
    broken = False
    while source.left:
        match source.below(4):
            case 0:
                offer(source, ring, out)
            case 1:
                head = source.near(next(iter(out), 0), 16)
                marks = source.near(MARKS if position < size else 0, 16)
                used = DESCRIPTORS["little"].pack(0, source.number(32), head, marks)
                yard.memory.write(_AT + 16 * (position % size), used)
                position = (position + source.near(out.get(head, 1), 16)) % (2 * size)
            case 2:
                yard.memory.write(_AT + source.below(16 * size + 8), source.blob(4))
            case _:
                broken = collect(ring, out, broken=broken)
        assert ring.free + sum(out.values()) == size
        assert ring.outstanding == len(out)
        assert 0 <= ring.base <= 0xFFFF_FFFF
    ring.release()
    yard.check()


TARGET = Target("driver-packed-ring", "the driver's side of a packed ring", run)
