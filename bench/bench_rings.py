"""What a packed ring costs, against a split one: our driver's end and our device's face to face.

A buffer is made available, taken, given back and collected, one at a time, as a balloon's are: one
of page numbers, in a single descriptor, and a report of 32 ranges of free memory. No balloon and no
notifications.
"""

import mmap
import time
from collections.abc import Iterator

from bench.harness import Figure, Goal, Measure, in_turns, judge, main

from aerostat.units import MIB
from aerostat.virtio.driver_packed_ring import DriverPackedRing, lay_out_packed
from aerostat.virtio.driver_ring import DriverRing, lay_out
from aerostat.virtio.memory import GuestMemory, Region
from aerostat.virtio.packed_ring import PackedRing
from aerostat.virtio.ring import Buffer, DeviceSide, DriverSide
from aerostat.virtio.split_ring import SplitRing

_SIZE = 128  # descriptors
_PAYLOAD = 0x10000
_REPORT = [((number + 1) * 2 * MIB, 2 * MIB) for number in range(32)]

_GOAL = Goal("ratio", "<=", 1.5)


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure microseconds a buffer."""
    loops, repeats = (200, 1) if quick else (2000, 15)
    memory = GuestMemory([Region(0, MIB, 0, memoryview(mmap.mmap(-1, MIB)))])
    packed, split = _packed(memory, 0), _split(memory, MIB // 2)
    for name, readable, writable in (
        ("a request", [(_PAYLOAD, 1024)], []),
        ("a report of 32 ranges", [], _REPORT),
    ):
        ours = _timed(packed, readable, writable, loops)
        rival = _timed(split, readable, writable, loops)
        pairs = in_turns(ours, rival, repeats=repeats)
        yield judge(f"{name} through a packed ring", "us", "a split ring", pairs, _GOAL)


Ends = tuple[DriverSide, DeviceSide]


def _packed(memory: GuestMemory, address: int) -> Ends:
    layout = lay_out_packed(address, _SIZE)
    driver = DriverPackedRing(memory, _SIZE, layout)
    return driver, PackedRing(memory, _SIZE, layout.desc, layout.avail, layout.used)


def _split(memory: GuestMemory, address: int) -> Ends:
    layout = lay_out(address, _SIZE)
    driver = DriverRing(memory, _SIZE, layout)
    return driver, SplitRing(memory, _SIZE, layout.desc, layout.avail, layout.used)


def _timed(ends: Ends, readable: list[Buffer], writable: list[Buffer], loops: int) -> Measure:
    driver, device = ends

    def measure() -> float:
        began = time.process_time()
        for _ in range(loops):
            driver.add(readable, writable)
            chain = device.pop()
            assert chain is not None
            device.push(chain.head)
            driver.collect()
        return (time.process_time() - began) * 1e6 / loops

    return measure


if __name__ == "__main__":
    main(run)
