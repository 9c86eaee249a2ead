"""A watched device that can also misbehave, to see what becomes of its driver.

Touches guest memory through its rings. Everything here is forbidden to devices (virtio 1.2, 2.7.8)
or of no use to them; a driver must not be harmed by it all the same.
"""

from collections.abc import Iterator

from aerostat.balloon.abi import Queue
from aerostat.balloon.device import BUDGET, MAX_PAGES, Deflate, Event, StatisticsArrived
from aerostat.balloon.lane import Lane
from aerostat.testing.check.driver.watched_ring import WatchedRing
from aerostat.testing.conformance.statements import statement
from aerostat.testing.conformance.watched_device import Offence, WatchedDevice
from aerostat.virtio.chain import Chain
from aerostat.virtio.ring import DeviceSide


class UnrulyDevice(WatchedDevice):
    """A `WatchedDevice` with bad manners, each on demand.

    While `written` is not 0, every buffer is returned as if so many bytes were written to it.
    `taken_back` are the numbers of all pages that were deflated. Whoever had it do something must
    have the driver notified then.
    """

    def __init__(self, *, features: int) -> None:
        super().__init__(max_pages=MAX_PAGES, features=features)
        self.written = 0
        self.requests = dict.fromkeys(Queue, 0)
        self.taken_back: set[int] = set()
        self.latest_statistics: dict[int, int] = {}
        self._outside = 0

    def start(self, queue: Queue, ring: DeviceSide) -> None:
        """Start a queue on a ring that is watched, too."""
        super().start(queue, WatchedRing(ring, self._offended))

    def service(self, queue: Queue, budget: int = BUDGET) -> Iterator[Event]:
        """Serve, and count."""
        for event in super().service(queue, budget):
            self.requests[queue] += 1
            self._look_outside(queue)
            if isinstance(event, Deflate):
                self.taken_back.update(self.pages_of(event))
            elif isinstance(event, StatisticsArrived):
                self.latest_statistics = event.statistics
            yield event

    def _look_outside(self, queue: Queue) -> None:
        """Note what a request names that is no memory of the guest's."""
        outside = self.counters["outside_pages"] - self._outside
        self._outside += outside
        if outside and queue in (Queue.INFLATE, Queue.DEFLATE):
            self._offended("DRV-OP-13", f"{outside} page numbers of a request are no memory")

    def demand(self, num_pages: int) -> None:
        """Want a balloon of `num_pages`, whatever the guest's size. 32 bits; announce it then."""
        self.max_pages = MAX_PAGES
        self.set_target(num_pages)

    def interrupt(self, *queues: Queue) -> None:
        """Have the driver notified of these queues, whether anything happened there or not."""
        self._notify.update(queue for queue in queues if self.runs(queue))

    def use(self, queue: Queue, head: int, written: int = 0) -> None:
        """Put an element that the driver never asked for into the used ring, if there is one."""
        if self.runs(queue):
            self._lanes[queue].ring.push(head, written)
            self._notify.add(queue)

    def runs(self, queue: Queue) -> bool:
        """Return whether the driver has set this queue up."""
        return queue in self._lanes

    def _offended(self, id_: str, words: str) -> None:
        self.offences.append(Offence(statement(id_).id, words))

    def _give_back(self, queue: Queue, lane: Lane, chain: Chain) -> None:
        if not self.written:
            super()._give_back(queue, lane, chain)
            return
        lane.ring.push(chain.head, self.written)
        self._notify.add(queue)
