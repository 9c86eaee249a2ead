"""The balloon driver with a device that gives back, and asks for, what it likes."""

from collections.abc import Callable
from typing import get_args

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.driver import BalloonDriver
from aerostat.balloon.driver_events import (
    Deflated,
    DeviceBroken,
    Hinted,
    Reported,
    StatisticsWanted,
)
from aerostat.balloon.driver_features import (
    KNOWN_FEATURES,
    NumberingRule,
    choose_features,
    queue_numbers,
)
from aerostat.errors import UsageError
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.yard import LAYOUTS, PAGE, Yard
from aerostat.virtio.chain import DESCRIPTORS
from aerostat.virtio.driver_rings import driver_ring, lay_out_ring
from aerostat.virtio.features import RING_PACKED, bit, has
from aerostat.virtio.memory import Byteorder
from aerostat.virtio.packed_ring import MARKS
from aerostat.virtio.ring import DriverSide

_STATISTICS = {4: 1, 5: 2}
_PAGES = 120
_LENT = (0x8000, PAGE)


class Guest:
    """A guest that counts its pages: each is free, or away."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.yard = Yard(LAYOUTS[1])
        offered = source.near(KNOWN_FEATURES, 64)
        features = choose_features(offered, KNOWN_FEATURES, relies_on_zeroed=source.chance(20))
        rule = source.choose(get_args(NumberingRule))
        assert len(set(queue_numbers(offered, features, rule).values())) >= 2
        if source.chance(50):
            features &= ~bit(RING_PACKED)
        order: Byteorder = source.choose(("little", "big"))
        page_size = source.choose((PAGE_SIZE, 4 * PAGE_SIZE))
        self.driver = BalloonDriver(features, byteorder=order, batch=16, page_size=page_size)
        self.order = self.driver.byteorder
        size = 1 << source.below(4)
        self.packed = has(features, RING_PACKED)
        self.rings: dict[Queue, DriverSide] = {}
        at = 0
        for queue in self.driver.queues:
            layout = lay_out_ring(features, at, size)
            self.rings[queue] = driver_ring(
                features, self.yard.memory, size, layout, byteorder=self.order
            )
            at = -(-layout.end // 16) * 16
        self.driver.attach(self.yard.memory, self.rings, at, self.driver.arena_size)
        self.driver.begin(_STATISTICS, source.bits(32))
        self.driver.take_config_writes()
        self.driver.ready()
        self.free = list(range(_PAGES))
        self.places = dict.fromkeys(self.rings, 0)

    def serve(self) -> None:
        """Do what a transport does in one round."""
        driver = self.driver
        for queue in Queue:
            for event in driver.service(queue):
                if isinstance(event, Deflated):
                    self.free += event.pages
                elif isinstance(event, StatisticsWanted):
                    driver.send_statistics(_STATISTICS)
                elif isinstance(event, Reported | Hinted):
                    assert event.ranges in ([_LENT], [])
                elif isinstance(event, DeviceBroken):
                    assert event.queue in driver.broken
        for offset, data in driver.take_config_writes():
            assert (offset, len(data)) in {(4, 4), (12, 4)}
        driver.take_notifications()

    def balance(self) -> None:
        """Give or ask back what the device wants."""
        driver = self.driver
        if driver.wanted > 0:
            count = min(driver.wanted, driver.pages_per_request)
            pages, self.free = self.free[:count], self.free[count:]
            driver.inflate(pages)
        else:
            driver.deflate(-driver.wanted)

    def assail(self) -> None:
        """Write into a ring, as a device does that is broken, or is not."""
        source = self.source
        queue = source.choose(self.driver.queues)
        ring, place = self.rings[queue], self.places[queue]
        head = source.near(place % ring.size if source.chance(20) else 0, 32)
        written = source.number(32)
        if self.packed:
            marks = source.near(MARKS if place < ring.size else 0, 16)
            used = DESCRIPTORS["little"].pack(0, written, head & 0xFFFF, marks)
            self.yard.memory.write(ring.layout.desc + 16 * (place % ring.size), used)
            self.places[queue] = (place + source.near(1, 4)) % (2 * ring.size)
            return
        at = ring.layout.used
        element = head.to_bytes(4, self.order) + written.to_bytes(4, self.order)
        self.yard.memory.write(at + 4 + 8 * (place % ring.size), element)
        self.places[queue] = place = source.near((place + 1) & 0xFFFF, 16)
        self.yard.memory.write(at + 2, place.to_bytes(2, self.order))

    def hint(self) -> None:
        """Hint a free page, or that there are no more, where the device wants to know."""
        hints = self.driver.hints
        if hints is not None and hints.wanted:
            hints.send([_LENT] if self.source.chance(60) else [])


def run(case: bytes) -> None:
    """Let a guest live with a hostile device; no page is lost, none is had twice."""
    source = Source(case)
    if source.chance(10):
        _misuse(source)
        return
    guest = Guest(source)
    driver = guest.driver
    while source.left:
        match source.below(8):
            case 0:
                driver.config_changed(source.near(16, 32), source.near(2, 32))
            case 1:
                guest.balance()
            case 2:
                driver.relieve(source.below(20))
            case 3:
                _report(driver)
            case 4:
                source.choose((guest.hint, guest.hint, driver.leave))()
            case 5:
                guest.serve()
            case _:
                guest.assail()
        assert 0 <= driver.actual <= 0xFFFFFFFF
        assert driver.balloon_size == driver.held_pages * driver.page_size
        assert len(guest.free) + driver.held_pages <= _PAGES
    left = driver.stop()
    assert sorted(guest.free + left) == list(range(_PAGES)), "a page is lost, or had twice"
    guest.yard.check()


def _misuse(source: Source) -> None:
    """Have a driver made and called in ways that cannot be: its caller is told so."""
    features = source.near(KNOWN_FEATURES & ~bit(RING_PACKED), 64)
    yard = Yard(LAYOUTS[1])
    try:
        driver = BalloonDriver(
            features,
            page_size=source.near(PAGE_SIZE, 20),
            batch=source.near(16, 9),
            statistics_first=source.choose(("primed", "uninitialised")),
        )
        rings: dict[Queue, DriverSide] = {
            queue: driver_ring(features, yard.memory, 4, lay_out_ring(features, 0x400 * queue, 4))
            for queue in driver.queues
            if not source.chance(2)
        }
        driver.attach(yard.memory, rings, source.near(0x4000, 16), source.near(1 << 20, 24))
        calls: tuple[Callable[[], object], ...] = (
            lambda: driver.begin(
                {4: source.number(66)} if source.chance(80) else {}, source.near(0, 40)
            ),
            driver.ready,
            driver.take_config_writes,
            lambda: driver.inflate([source.number(32) - 1] * source.below(3)),
            lambda: driver.deflate(source.below(5)),
            lambda: driver.relieve(source.below(5)),
            lambda: driver.report([(source.number(16), source.number(13))] * source.below(40)),
            lambda: driver.send_statistics({source.near(4, 16): 1}),
            lambda: driver.config_changed(source.number(32), source.number(32)),
            lambda: _hint(driver, source.below(40)),
            driver.stop,
        )
        calls[0]()
        while source.left:
            source.choose(calls)()
    except UsageError:
        return


def _hint(driver: BalloonDriver, count: int) -> None:
    if driver.hints is not None:
        driver.hints.send([_LENT] * count)


def _report(driver: BalloonDriver) -> None:
    try:
        driver.report([_LENT])
    except UsageError:
        assert driver.page_size > PAGE


TARGET = Target("driver", "the balloon driver with a hostile device", run)
