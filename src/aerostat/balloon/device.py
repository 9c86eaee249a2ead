"""The balloon device as a state machine (virtio 1.2, section 5.5.6, the device's side).

Touches guest memory through the rings that it is given; no files, no sockets, no clock. Its
caller punches the holes, sends the notifications, and announces configuration changes.

The guest is not trusted: a malformed chain goes back unread, a broken ring is left alone until
it is started afresh, page numbers outside memory are skipped. All of it is counted in `counters`,
and none of it raises.

::

    for event in device.service(Queue.INFLATE):
        if isinstance(event, Inflate):
            punch(event.pieces)          # before the guest is told (5.5.6.2)
        if isinstance(event, Inflate | Deflate):
            device.complete(event)
    for queue in device.take_notifications():
        notify(queue)
    if device.pending(Queue.INFLATE):
        ...                              # come back soon: the budget ran out
"""

from collections.abc import Iterator
from typing import NamedTuple

from aerostat.balloon.abi import (
    DEFLATE_ON_OOM,
    MUST_TELL_HOST,
    PAGE_POISON,
    PAGE_SIZE,
    STATS_VQ,
    Config,
    Queue,
)
from aerostat.balloon.lane import COUNTERS, Lane
from aerostat.balloon.pages import PFN_SIZE, merge_pfns
from aerostat.balloon.statistics import ENTRY_SIZE, MAX_ENTRIES, Byteorder, parse
from aerostat.errors import UsageError
from aerostat.virtio.chain import Chain
from aerostat.virtio.features import RING_INDIRECT_DESC, VERSION_1, bit, has
from aerostat.virtio.memory import Piece
from aerostat.virtio.split_ring import SplitRing

DEFAULT_FEATURES = (
    bit(MUST_TELL_HOST)
    | bit(STATS_VQ)
    | bit(DEFLATE_ON_OOM)
    | bit(VERSION_1)
    | bit(RING_INDIRECT_DESC)
)

#: What can be offered, because it is honoured (2.2.2). The place of free page hinting and
#: reporting is kept in `abi`; they are not implemented.
SUPPORTED_FEATURES = DEFAULT_FEATURES | bit(PAGE_POISON)

MAX_PAGES = 0xFFFFFFFF

# Steps of one `service` call, so that one queue cannot keep the caller from everything else.
BUDGET = 64

# Page numbers of one step. Linux sends 256 a request; a larger request is done in several steps.
STEP_PAGES = 4096

_MAX_STATISTICS = MAX_ENTRIES * ENTRY_SIZE


class Inflate(NamedTuple):
    """The guest gives these pages. Punch them, then `complete` the event.

    `last` is false while more of the same request follows.
    """

    pieces: list[Piece]
    chain: Chain
    last: bool


class Deflate(NamedTuple):
    """The guest takes these pages back. `complete` the event; nothing else is needed."""

    pieces: list[Piece]
    chain: Chain
    last: bool


class StatisticsArrived(NamedTuple):
    """The guest's memory statistics: value by tag."""

    statistics: dict[int, int]


class ConfigChanged(NamedTuple):
    """The device changed its configuration: announce it to the driver."""


class ActualChanged(NamedTuple):
    """The driver says that the balloon now has `balloon_size` bytes."""

    balloon_size: int


Event = Inflate | Deflate | StatisticsArrived


class BalloonDevice:
    """A traditional memory balloon.

    `max_pages` (of 4096 bytes) bounds the target and what is believed of `actual`. `byteorder`
    is the guest's own, for a driver that does not negotiate VERSION_1 (5.5.6.3.3). Raises
    `UsageError` for features that it could not honour.
    """

    def __init__(
        self,
        *,
        max_pages: int = MAX_PAGES,
        features: int = DEFAULT_FEATURES,
        byteorder: Byteorder = "little",
    ) -> None:
        if features & ~SUPPORTED_FEATURES:
            raise UsageError(f"not implemented: features {features & ~SUPPORTED_FEATURES:#x}")
        if not 0 < max_pages <= MAX_PAGES:
            raise UsageError(f"a balloon has 1 to {MAX_PAGES} pages, not {max_pages}")
        self.features = features
        self.negotiated = 0
        self.config = Config()
        self.max_pages = max_pages
        self.counters = dict.fromkeys(COUNTERS, 0)
        self._guest_byteorder = byteorder
        self._lanes: dict[Queue, Lane] = {}
        self._notify: set[Queue] = set()
        self._statistics_seen = False
        self._latest: dict[int, int] = {}
        self._put_back: dict[int, int] = {}

    # Features and configuration

    def accept(self, features: int) -> bool:
        """Take the driver's choice of features; refuse (false) one with bits not offered."""
        if features & ~self.features:
            self.counters["bad_features"] += 1
            return False
        self.negotiated = features
        return True

    @property
    def byteorder(self) -> Byteorder:
        """The order of bytes in the queues' buffers: little-endian unless the driver is legacy."""
        return "little" if has(self.negotiated, VERSION_1) else self._guest_byteorder

    @property
    def balloon_size(self) -> int:
        """The balloon's size by the driver's word, in bytes, at most all of `max_pages`."""
        return min(self.config.actual, self.max_pages) * PAGE_SIZE

    def set_target(self, num_pages: int) -> ConfigChanged | None:
        """Ask for a balloon of `num_pages` of 4096 bytes, or the nearest possible."""
        num_pages = min(max(num_pages, 0), self.max_pages)
        if num_pages == self.config.num_pages:
            return None
        self.config.num_pages = num_pages
        return ConfigChanged()

    def read_config(self, offset: int, size: int) -> bytes:
        """Return `size` bytes of the configuration space, zeros beyond its end.

        The caller bounds `size`.
        """
        return self.config.read(offset, size)

    def write_config(self, offset: int, data: bytes) -> ActualChanged | None:
        """Take a driver's write to the configuration space, of any part of it."""
        before = self.config.actual
        self.config.write(offset, data, poison=has(self.negotiated, PAGE_POISON))
        if self.config.actual == before:
            return None
        if self.config.actual > self.max_pages:
            self.counters["implausible_actual"] += 1
        return ActualChanged(self.balloon_size)

    # Queues coming and going

    def start(self, queue: Queue, ring: SplitRing) -> None:
        """Serve `queue` from `ring`, which is now ours to release. It may have chains already."""
        if queue not in {Queue.INFLATE, Queue.DEFLATE, Queue.STATS}:
            raise UsageError(f"not implemented: the {queue.name} queue")
        if queue in self._lanes:
            raise UsageError(f"the {queue.name} queue is running already")
        self._lanes[queue] = Lane(ring, self.counters)

    def stop(self, queue: Queue) -> int:
        """Stop `queue`, release its ring, and return the index to start it from again.

        A chain not given back, such as the held statistics buffer, is taken again then. A queue
        that is not running begins at 0.
        """
        lane = self._lanes.pop(queue, None)
        if lane is None:
            return 0
        if lane.chain is not None:
            lane.ring.unpop()
            if queue is Queue.STATS:
                self._put_back = self._latest
        self._notify.discard(queue)
        lane.ring.release()
        return lane.ring.next_avail

    def reset(self) -> ActualChanged | None:
        """Go back to the beginning, as the driver asks: no queues, no features, an empty balloon.

        The target stays; it is the host's.
        """
        for queue in list(self._lanes):
            self.stop(queue)
        was_empty = self.balloon_size == 0
        self.negotiated = 0
        self._statistics_seen = False
        self._put_back = {}
        self.config.reset()
        return None if was_empty else ActualChanged(0)

    def ring(self, queue: Queue) -> SplitRing | None:
        """Return the ring that serves `queue`, to rebind it; None if it is not running."""
        lane = self._lanes.get(queue)
        return lane.ring if lane else None

    def broken(self, queue: Queue) -> bool:
        """Return whether `queue` runs on a ring that broke."""
        lane = self._lanes.get(queue)
        return lane is not None and lane.broken

    # Queues at work

    def service(self, queue: Queue, budget: int = BUDGET) -> Iterator[Event]:
        """Work through what waits on `queue`; yield what happens, in at most `budget` steps.

        Each `Inflate` and `Deflate` must be completed before the next event is asked for.
        """
        if queue is Queue.STATS:
            return self._service_statistics(budget)
        return self._service_pages(queue, budget)

    def pending(self, queue: Queue) -> bool:
        """Return whether `service` would find work on `queue`."""
        lane = self._lanes.get(queue)
        if lane is None:
            return False
        return lane.waiting or (lane.chain is not None and queue is not Queue.STATS)

    def complete(self, event: Inflate | Deflate) -> None:
        """Acknowledge an event whose pages have been seen to (5.5.6: by using the buffer).

        A queue that was stopped in the meantime is none of the event's business any more.
        """
        queue = Queue.INFLATE if isinstance(event, Inflate) else Queue.DEFLATE
        lane = self._lanes.get(queue)
        if lane is None or lane.awaited is not event:
            return
        lane.awaited = None
        if event.last:
            lane.chain, lane.payload = None, b""
            self._give_back(queue, lane, event.chain)

    def take_notifications(self) -> list[Queue]:
        """Return the queues whose driver must be notified of used buffers, and forget them."""
        queues = sorted(self._notify)
        self._notify.clear()
        return queues

    # Statistics

    @property
    def statistics_held(self) -> bool:
        """Whether a statistics buffer is in our hands, so that new figures can be asked for."""
        lane = self._lanes.get(Queue.STATS)
        return lane is not None and lane.chain is not None

    def request_statistics(self) -> bool:
        """Ask the driver for new figures by giving the held buffer back; then notify it.

        Return false if none is held: the driver has not answered the last request, or has not
        begun.
        """
        lane = self._lanes.get(Queue.STATS)
        if lane is None or lane.chain is None:
            return False
        chain, lane.chain = lane.chain, None
        self._give_back(Queue.STATS, lane, chain)
        return True

    def _service_statistics(self, budget: int) -> Iterator[Event]:
        for _ in range(budget):
            lane = self._lanes.get(Queue.STATS)
            chain = lane.take() if lane else None
            if lane is None or chain is None:
                return
            older, lane.chain = lane.chain, chain
            if older is not None:  # a driver must not do this (5.5.6.3.1), but let it have it
                self.counters["extra_statistics"] += 1
                self._give_back(Queue.STATS, lane, older)
            statistics = self._statistics(lane, chain)
            # A buffer that is found again after a pause has no news.
            stale, self._put_back = statistics == self._put_back, {}
            if statistics and not stale:
                self._latest = statistics
                yield StatisticsArrived(statistics)

    def _statistics(self, lane: Lane, chain: Chain) -> dict[int, int]:
        first, self._statistics_seen = not self._statistics_seen, True
        # Old drivers sent the first buffer as it lay in memory (5.5.6.3.3).
        if first and not has(self.negotiated, VERSION_1):
            return {}
        if chain.readable_length > _MAX_STATISTICS:
            self.counters["oversized_buffers"] += 1
            return {}
        statistics = parse(lane.read(chain), self.byteorder)
        if not statistics and not first:  # only the first one may be empty (5.5.5)
            self.counters["useless_statistics"] += 1
        return statistics

    # Inflate and deflate

    def _service_pages(self, queue: Queue, budget: int) -> Iterator[Event]:
        make = Inflate if queue is Queue.INFLATE else Deflate
        for _ in range(budget):
            lane = self._lanes.get(queue)
            if lane is None:
                return
            if lane.awaited is not None:
                raise UsageError(f"complete the last {make.__name__} first")
            if lane.chain is None:
                lane.chain = lane.take()
                if lane.chain is None:
                    return
                lane.payload = lane.read(lane.chain)
                lane.offset = 0
            event = lane.awaited = make(*self._step(lane, lane.chain))
            yield event

    def _step(self, lane: Lane, chain: Chain) -> tuple[list[Piece], Chain, bool]:
        end = lane.offset + STEP_PAGES * PFN_SIZE
        step = lane.payload[lane.offset : end]
        pieces, outside = lane.ring.memory.clip(merge_pfns(step, self.byteorder))
        self.counters["outside_pages"] += outside // PAGE_SIZE
        lane.offset = end
        return pieces, chain, end >= len(lane.payload)

    def _give_back(self, queue: Queue, lane: Lane, chain: Chain) -> None:
        # Nothing was written to it, whatever room the driver left for writing (2.7.8.2).
        lane.ring.push(chain.head)
        self._notify.add(queue)
