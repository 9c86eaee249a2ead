"""The balloon over packed rings: device and driver do not know which kind they have."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.balloon.abi import MUST_TELL_HOST, STATS_VQ, Queue
from aerostat.balloon.device import KNOWN_FEATURES, BalloonDevice, StatisticsArrived
from aerostat.balloon.driver import BalloonDriver
from aerostat.balloon.driver_events import Deflated, StatisticsWanted
from aerostat.balloon.statistics import Tag
from aerostat.testing.mocks.driver import make_memory
from aerostat.virtio.chain import DESCRIPTORS
from aerostat.virtio.driver_packed_ring import lay_out_packed
from aerostat.virtio.driver_rings import driver_ring, lay_out_ring
from aerostat.virtio.features import RING_INDIRECT_DESC, RING_PACKED, VERSION_1, bit
from aerostat.virtio.packed_ring import AVAIL, FRESH, USED, PackedRing
from aerostat.virtio.ring import RingLayout

FEATURES = bit(MUST_TELL_HOST) | bit(STATS_VQ) | bit(VERSION_1) | bit(RING_PACKED)
SIZE = 3
FIRST_PAGE = 0x100
STATISTICS: dict[int, int] = {Tag.FREE_MEMORY: 5, Tag.TOTAL_MEMORY: 7}


class Pair:
    """Our driver and our device, on packed rings of a size that is no power of two."""

    def __init__(self, features: int = FEATURES) -> None:
        self.memory = make_memory((0, 0x80000), (FIRST_PAGE * 4096, 0x100000))
        self.device = BalloonDevice(features=KNOWN_FEATURES)
        assert self.device.accept(features)
        self.driver = BalloonDriver(features)
        self.layouts: dict[Queue, RingLayout] = {}
        rings = {}
        address = 0
        for queue in self.driver.queues:
            layout = self.layouts[queue] = lay_out_ring(features, address, SIZE)
            rings[queue] = driver_ring(features, self.memory, SIZE, layout)
            self.start(queue)
            address = -(-layout.end // 16) * 16
        self.driver.attach(self.memory, rings, address, self.driver.arena_size)
        self.driver.begin(STATISTICS)
        self.driver.ready()

    def start(self, queue: Queue, base: int = FRESH) -> None:
        layout = self.layouts[queue]
        ring = PackedRing(self.memory, SIZE, layout.desc, layout.avail, layout.used, base)
        self.device.start(queue, ring)

    def serve(self, queue: Queue) -> int:
        """Have the device do what waits on `queue`; return how much was no event of statistics."""
        requests = 0
        for event in self.device.service(queue):
            if not isinstance(event, StatisticsArrived):
                self.device.complete(event)
                requests += 1
        return requests

    def ask(self) -> None:
        """See that statistics come when they are asked for."""
        assert self.device.request_statistics()
        assert self.driver.service(Queue.STATS) == [StatisticsWanted()]
        self.driver.send_statistics(STATISTICS)
        assert list(self.device.service(Queue.STATS)) == [StatisticsArrived(STATISTICS)]


@pytest.mark.statement("PK-1", "PK-3")
@pytest.mark.parametrize("features", [FEATURES, FEATURES | bit(RING_INDIRECT_DESC)])
def test_a_balloon_is_filled_and_emptied_over_many_rounds(features: int) -> None:
    pair = Pair(features)
    list(pair.device.service(Queue.STATS))
    for count in range(10):
        pages = list(range(FIRST_PAGE, FIRST_PAGE + count + 1))
        pair.driver.config_changed(len(pages))
        pair.driver.inflate(pages)
        assert pair.serve(Queue.INFLATE) == 1
        pair.driver.service(Queue.INFLATE)
        assert pair.driver.balloon_size == 4096 * len(pages)
        pair.driver.config_changed(0)
        assert sorted(pair.driver.deflate(len(pages))) == pages
        assert pair.serve(Queue.DEFLATE) == 1
        (deflated,) = pair.driver.service(Queue.DEFLATE)
        assert isinstance(deflated, Deflated)
        pair.ask()
    assert not any(pair.device.counters.values())


def test_a_held_buffer_is_found_again_after_a_pause() -> None:
    pair = Pair()
    list(pair.device.service(Queue.STATS))
    for _ in range(2 * SIZE + 1):
        pair.ask()
        base = pair.device.stop(Queue.STATS)
        assert not pair.device.statistics_held
        pair.start(Queue.STATS, base)
        assert list(pair.device.service(Queue.STATS)) == []  # nothing new is in it
        assert pair.device.statistics_held


@given(st.integers(0, 1 << 32))
def test_a_ring_of_garbage_breaks_alone(seed: int) -> None:
    source = Random(seed)
    pair = Pair()
    list(pair.device.service(Queue.STATS))
    desc = lay_out_packed(pair.layouts[Queue.INFLATE].desc, SIZE).desc
    for _ in range(3):
        for slot in range(SIZE):
            mark = source.choice([AVAIL, AVAIL, USED, AVAIL | USED, 0])
            fields = (
                source.choice([desc, 0x1000, 0x7FFF8, 1 << 40]),
                source.choice([0, 1, 4, 16, 1024, 0xFFFFFFFF]),
                source.randrange(SIZE + 1),
                source.randrange(8) | mark,
            )
            pair.memory.write(desc + 16 * slot, DESCRIPTORS["little"].pack(*fields))
        pair.serve(Queue.INFLATE)
        pair.device.pending(Queue.INFLATE)
        pair.ask()
        assert not pair.device.broken(Queue.STATS)
    pair.device.stop(Queue.INFLATE)
