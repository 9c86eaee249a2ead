"""The balloon driver and a device that writes anything into the used rings."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from aerostat.balloon.abi import Queue
from aerostat.balloon.driver_events import Deflated, DeviceBroken, Reported, StatisticsWanted
from aerostat.balloon.driver_features import KNOWN_FEATURES
from aerostat.testing.conformance.driver_bench import PAGES_AT, STATISTICS, DriverBench
from aerostat.virtio.features import VERSION_1, bit
from aerostat.virtio.memory import Byteorder

LENT = (PAGES_AT, 4096)


class Guest:
    """A guest whose driver serves a hostile device; whose every page is somewhere."""

    def __init__(self, byteorder: Byteorder, size: int) -> None:
        features = KNOWN_FEATURES & ~bit(VERSION_1)
        self.bench = DriverBench(features, byteorder=byteorder, size=size, batch=16)
        self.bench.begin(poison=0)
        self.bench.free = self.bench.free[1:200]
        self.pages = sorted(self.bench.free)
        self.broken: list[Queue] = []

    def step(self, source: Random) -> None:
        """Do what a driver's transport does in one round."""
        bench, driver = self.bench, self.bench.driver
        driver.take_config_writes()
        driver.take_notifications()
        driver.config_changed(source.choice([0, 7, 100, 0xFFFFFFFF]))
        for queue in Queue:
            for event in driver.service(queue):
                if isinstance(event, Deflated):
                    bench.free += event.pages
                elif isinstance(event, StatisticsWanted):
                    driver.send_statistics(STATISTICS)
                elif isinstance(event, Reported):
                    assert event.ranges == [LENT]
                elif isinstance(event, DeviceBroken):
                    self.broken.append(event.queue)
        if driver.wanted > 0:
            bench.inflate(min(driver.wanted, driver.pages_per_request))
        driver.deflate(-driver.wanted)
        driver.relieve(source.randrange(3))
        driver.report([LENT])

    def assail(self, source: Random) -> None:
        """Write into a used ring: an index that may be or cannot be, an element likewise."""
        queue = source.choice(self.bench.driver.queues)
        ring = self.bench.rings[queue]
        order = self.bench.driver.byteorder
        # Mostly what a device does that knows its business, or no driver would get anywhere.
        index = ring._next_used + source.choice([0, *[1] * 20, 2, 0x8000])
        head = source.choice([*list(ring._chains) * 20, 0, 0xFFFF_FFFF])
        at = ring.layout.used + 4 + 8 * (ring._next_used % ring.size)
        self.bench.memory.write(at, head.to_bytes(4, order) + source.randbytes(4))
        self.bench.memory.write(ring.layout.used + 2, (index & 0xFFFF).to_bytes(2, order))


@given(st.integers(0, 1 << 32), st.sampled_from(["little", "big"]), st.sampled_from([1, 2, 8]))
def test_no_device_makes_the_driver_raise_or_lose_a_page(
    seed: int, byteorder: Byteorder, size: int
) -> None:
    source = Random(seed)
    guest = Guest(byteorder, size)
    for _ in range(40):
        guest.assail(source)
        guest.step(source)
        assert len(set(guest.broken)) == len(guest.broken)
        assert sorted(guest.broken) == guest.bench.driver.broken
    left = guest.bench.driver.stop()
    assert sorted(guest.bench.free + left) == guest.pages
