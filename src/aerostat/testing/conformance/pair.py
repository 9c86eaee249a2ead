"""A balloon device and a balloon driver over the same memory, with no transport between them.

For tests of either that want neither processes nor sockets: virtio 1.2, 5.5, in one object.
"""

from collections.abc import Collection

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.device import (
    BUDGET,
    DEFAULT_FEATURES,
    KNOWN_FEATURES,
    BalloonDevice,
    Event,
    StatisticsArrived,
)
from aerostat.balloon.statistics import Byteorder
from aerostat.testing.mocks.driver import BalloonDriver, make_memory
from aerostat.virtio.split_ring import SplitRing

_MIB = 1 << 20


class BalloonPair:
    """A device and a driver over 4 MiB of memory, a hole of 4 MiB, and 4 MiB more.

    The driver's rings begin at 1 MiB; the balloon may have all 2048 pages. Both have started.
    """

    def __init__(
        self,
        *,
        features: int = DEFAULT_FEATURES,
        byteorder: Byteorder = "little",
        size: int = 8,
        buffer_size: int = 4096,
        queues: Collection[Queue] = (Queue.INFLATE, Queue.DEFLATE, Queue.STATS, Queue.REPORTING),
    ) -> None:
        self.memory = make_memory((0, 4 * _MIB), (8 * _MIB, 4 * _MIB))
        self.byteorder: Byteorder = byteorder
        self.driver = BalloonDriver(
            self.memory,
            _MIB,
            queues=queues,
            size=size,
            buffer_size=buffer_size,
            byteorder=byteorder,
        )
        self.device = BalloonDevice(max_pages=2048, features=KNOWN_FEATURES, byteorder=byteorder)
        self.device.accept(features)
        for queue in self.driver.rings:
            self.start(queue)

    def start(self, queue: Queue, base: int | None = 0) -> None:
        """Start `queue` of the device on the driver's ring."""
        ring = self.driver.rings[queue]
        parts = (ring.desc, ring.avail, ring.used)
        self.device.start(
            queue, SplitRing(self.memory, ring.size, *parts, base, byteorder=self.byteorder)
        )

    def serve(self, queue: Queue, budget: int = BUDGET) -> list[Event]:
        """Let the device work on `queue`; complete and return what happens."""
        events = []
        for event in self.device.service(queue, budget):
            events.append(event)
            if not isinstance(event, StatisticsArrived):
                self.device.complete(event)
        return events

    def faults(self) -> dict[str, int]:
        """Return the device's counters that are not zero."""
        return {name: count for name, count in self.device.counters.items() if count}


def page_spans(event: Event) -> list[tuple[int, int]]:
    """Return the (first page number, count) of each piece of an event; statistics have none."""
    if isinstance(event, StatisticsArrived):
        return []
    return [
        ((region.guest_address + offset) // PAGE_SIZE, length // PAGE_SIZE)
        for region, offset, length in event.pieces
    ]
