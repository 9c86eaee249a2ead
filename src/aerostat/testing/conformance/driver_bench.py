"""A balloon driver on a bench: what a transport would do for it, by hand or by our own device.

`DriverBench` is the driver alone, the other ends of its rings in the test's hands. `DriverPair`
puts our device there, and keeps the book of pages that a device can keep of a driver (virtio 1.2,
5.5.6). No processes, no sockets, no waiting.
"""

from collections.abc import Mapping
from typing import Literal

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.device import DEFAULT_FEATURES
from aerostat.balloon.driver import DEFAULT_BATCH, BalloonDriver
from aerostat.balloon.driver_events import Deflated, Event, Reported, StatisticsWanted
from aerostat.balloon.driver_features import KNOWN_FEATURES, choose_features
from aerostat.balloon.events import StatisticsArrived
from aerostat.balloon.statistics import Tag
from aerostat.testing.conformance.watched_device import WatchedDevice
from aerostat.testing.mocks.driver import make_memory
from aerostat.virtio.chain import Chain
from aerostat.virtio.driver_ring import DriverRing, lay_out
from aerostat.virtio.memory import Byteorder
from aerostat.virtio.split_ring import SplitRing

_MIB = 1 << 20

#: The first guest address of the memory that pages are given from, and its size in bytes. Rings
#: and buffers are elsewhere.
PAGES_AT = 64 * _MIB
PAGES_SIZE = 16 * _MIB

STATISTICS: Mapping[int, int] = {Tag.FREE_MEMORY: 5 * _MIB, Tag.TOTAL_MEMORY: 64 * _MIB}


class DriverBench:
    """A driver with `features`, attached to rings of `size` whose indices begin at `start`.

    `ends` are the device's ends of the rings, `free` the pages that the guest has. The other
    arguments are the driver's.
    """

    def __init__(
        self,
        features: int,
        *,
        byteorder: Byteorder = "little",
        page_size: int = PAGE_SIZE,
        batch: int = DEFAULT_BATCH,
        size: int = 8,
        start: int = 0,
        statistics_first: Literal["primed", "uninitialised"] = "primed",
    ) -> None:
        self.memory = make_memory((0, 8 * _MIB), (PAGES_AT, PAGES_SIZE))
        self.driver = BalloonDriver(
            features,
            byteorder=byteorder,
            page_size=page_size,
            batch=batch,
            statistics_first=statistics_first,
        )
        self.rings: dict[Queue, DriverRing] = {}
        self.ends: dict[Queue, SplitRing] = {}
        self.taken: dict[Queue, list[Chain]] = {queue: [] for queue in self.driver.queues}
        order = self.driver.byteorder
        address = 0
        for queue in self.driver.queues:
            layout = lay_out(address, size)
            self.rings[queue] = DriverRing(self.memory, size, layout, byteorder=order, start=start)
            parts = (layout.desc, layout.avail, layout.used)
            self.ends[queue] = SplitRing(self.memory, size, *parts, start, byteorder=order)
            address = -(-layout.end // 16) * 16
        self.arena = address
        self.driver.attach(self.memory, self.rings, address, self.driver.arena_size)
        first = PAGES_AT // page_size
        self.free = list(range(first, first + PAGES_SIZE // page_size))

    def begin(
        self, statistics: Mapping[int, int] = STATISTICS, poison: int | None = None
    ) -> list[tuple[int, bytes]]:
        """Bring the driver to work; return what it wrote to the configuration space before."""
        self.driver.begin(statistics, poison)
        writes = self.driver.take_config_writes()
        self.driver.ready()
        return writes

    def inflate(self, count: int) -> list[int]:
        """Have the driver give the first `count` of the free pages; return them."""
        pages, self.free = self.free[:count], self.free[count:]
        self.driver.inflate(pages)
        return pages

    # The device, by hand

    def take(self, queue: Queue) -> bytes | None:
        """Take the next request off `queue`; return what can be read of it, None if none is."""
        chain = self.ends[queue].pop()
        if chain is None:
            return None
        self.taken[queue].append(chain)
        return chain.read(self.memory)

    def give_back(self, queue: Queue, written: int = 0) -> list[Event]:
        """Give back the oldest request that was taken; return what the driver makes of it."""
        self.ends[queue].push(self.taken[queue].pop(0).head, written)
        return self.driver.service(queue)

    def inflate_through(self, count: int) -> list[int]:
        """Have `count` pages inflated and acknowledged; return them."""
        pages = self.inflate(count)
        self.take(Queue.INFLATE)
        self.give_back(Queue.INFLATE)
        return pages


class DriverPair(DriverBench):
    """Our driver and our device; the device offers `offered`, the driver wants `wanted`.

    The device watches the driver, and notes its offences against the specification. `statistics`
    are the last that arrived. The guest does what the driver says, at once: `free` are the pages
    that it has left, `lent` those of the report that is out, `hinted` those of hints. A `turn` is
    all that both have to do; `balance`, `hint`, `tell` and `hear` are its parts.
    """

    def __init__(
        self,
        *,
        offered: int = DEFAULT_FEATURES,
        wanted: int = KNOWN_FEATURES,
        byteorder: Byteorder = "little",
        page_size: int = PAGE_SIZE,
        batch: int = DEFAULT_BATCH,
        size: int = 8,
        start: int = 0,
        poison: int = 0,
    ) -> None:
        features = choose_features(offered, wanted)
        super().__init__(
            features,
            byteorder=byteorder,
            page_size=page_size,
            batch=batch,
            size=size,
            start=start,
        )
        self.device = WatchedDevice(features=offered, byteorder=byteorder)
        assert self.device.accept(features)
        self.statistics: dict[int, int] = {}
        self.lent: list[int] = []
        self.hinted: list[int] = []
        self._write_config(self.begin(poison=poison))
        for queue, end in self.ends.items():
            self.device.start(queue, end)
        self.turn()

    def set_target(self, num_pages: int) -> None:
        """Have the device want `num_pages` of 4096 bytes, and the driver hear of it."""
        self.device.set_target(num_pages)
        self.hear_config()

    def turn(self) -> bool:
        """Let both do once what is to be done; return whether anything was."""
        self.balance()
        self.hint()
        told = self.tell()
        return bool(self.hear()) or told

    def settle(self, most: int = 1000) -> None:
        """Take turns until nothing happens any more. Raises `AssertionError` after too many."""
        for _ in range(most):
            if not self.turn():
                return
        raise AssertionError(f"no rest after {most} turns")

    # Its parts

    def balance(self) -> None:
        """Have the driver give or ask back what is wanted, as far as one request goes."""
        wanted = self.driver.wanted
        if wanted > 0:
            self.inflate(min(wanted, self.driver.pages_per_request))
        elif wanted < 0:
            self.driver.deflate(-wanted)

    def report(self, count: int) -> bool:
        """Have the driver report the last `count` of the free pages; false: not now."""
        first = len(self.free) - min(count, self.driver.report_room)
        pages, rest = self.free[first:], self.free[:first]
        size = self.driver.page_size
        reported = self.driver.report([(page * size, size) for page in pages])
        if reported:
            self.free, self.lent = rest, pages
        return reported

    def hint(self) -> None:
        """Have the driver hint free pages where they are wanted, and take them back if it may."""
        hints = self.driver.hints
        if hints is None:
            return
        if hints.wanted:
            pages, self.free = self.free[: hints.room], self.free[hints.room :]
            self.hinted += pages
            size = self.driver.page_size
            hints.send([(page * size, size) for page in pages])
        if hints.released:
            self.free += self.hinted
            self.hinted = []

    def tell(self) -> bool:
        """Write and notify what the driver says, let the device work; return whether any was."""
        writes = self.driver.take_config_writes()
        self._write_config(writes)
        notified = self.driver.take_notifications()
        for queue in notified:
            self.work(queue)
        return bool(writes or notified)

    def work(self, queue: Queue) -> None:
        """Let the device work on `queue`."""
        for event in self.device.service(queue):
            if isinstance(event, StatisticsArrived):
                self.statistics = event.statistics
            else:
                self.device.complete(event)

    def hear(self, answer: Mapping[int, int] = STATISTICS) -> list[Event]:
        """Notify the driver of what the device did; statistics asked for are the `answer`."""
        events = []
        for queue in self.device.take_notifications():
            events += self.driver.service(queue)
        for event in events:
            if isinstance(event, StatisticsWanted):
                self.driver.send_statistics(answer)
            elif isinstance(event, Deflated):
                self.free += event.pages
            elif isinstance(event, Reported):
                self.free += self.lent
                self.lent = []
        return events

    def hear_config(self) -> None:
        """Have the driver read the configuration, as after an announcement."""
        words = [int.from_bytes(self.device.read_config(at, 4), "little") for at in (0, 8)]
        self.driver.config_changed(*words)

    def ask_statistics(self, answer: Mapping[int, int] = STATISTICS) -> bool:
        """Have the device ask and the driver `answer`; false: no buffer is held."""
        if not self.device.request_statistics():
            return False
        self.hear(answer)
        self.tell()
        return True

    def _write_config(self, writes: list[tuple[int, bytes]]) -> None:
        for offset, data in writes:
            self.device.write_config(offset, data)
