"""The driver's side of a split ring, whose device gives back what it likes."""

from aerostat.errors import UsageError
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.yard import Yard
from aerostat.virtio.driver_ring import DriverRing, lay_out
from aerostat.virtio.memory import Byteorder
from aerostat.virtio.ring import BrokenRing, DriverSide

_AT, _TABLES = 0x1000, 0x4000


def run(case: bytes) -> None:
    """Offer buffers, write into the used ring what a device may not, and collect."""
    source = Source(case)
    yard = Yard.of(source)
    order: Byteorder = source.choose(("little", "big"))
    size = 1 << source.below(8)
    layout = lay_out(_AT, size)
    ring = DriverRing(yard.memory, size, layout, byteorder=order, start=source.number(16))
    out: dict[int, int] = {}
    index = ring._next_used  # noqa: SLF001 - a device knows it
    broken = False
    while source.left:
        match source.below(4):
            case 0:
                offer(source, ring, out)
            case 1:
                slot = layout.used + 4 + 8 * (index % size)
                head = source.near(source.choose([*out, 0]), 32)
                element = head.to_bytes(4, order) + source.number(32).to_bytes(4, order)
                yard.memory.write(slot, element)
                index = source.near((index + 1) & 0xFFFF, 16)
                yard.memory.write(layout.used + 2, index.to_bytes(2, order))
            case 2:
                yard.memory.write(layout.used + source.below(6 + 8 * size), source.blob(4))
            case _:
                broken = collect(ring, out, broken=broken)
        assert ring.free + sum(out.values()) == size
        assert ring.outstanding == len(out)
    ring.release()
    yard.check()


def offer(source: Source, ring: DriverSide, out: dict[int, int]) -> None:
    """Make a chain available; `out` is how many descriptors each has that the device has."""
    buffers = [(source.number(64), source.number(33)) for _ in range(source.below(4))]
    cut = source.below(4)
    table = _TABLES if source.chance(30) else 0
    try:
        head = ring.add(buffers[:cut], buffers[cut:], table=table)
    except UsageError:
        return
    assert head not in out
    out[head] = 1 if table else len(buffers)


def collect(ring: DriverSide, out: dict[int, int], *, broken: bool) -> bool:
    """Take what came back; return whether the ring is `broken` from now on."""
    try:
        collected = ring.collect()
    except BrokenRing:
        return True
    assert not broken, "a broken ring goes on"
    for used in collected:
        assert used.head in out, "given back what it did not have"
        del out[used.head]
    return False


TARGET = Target("driver-ring", "the driver's side of a split ring", run)
