"""The balloon device as a state machine (virtio 1.2, section 5.5.6, the device's side).

Touches guest memory through the rings that it is given; no files, no sockets, no clock. Its
caller punches the holes, sends the notifications, and announces configuration changes.

The guest is not trusted: a malformed chain goes back unread, a broken ring is left alone until
it is started afresh, page numbers outside memory are skipped. All of it is counted in `counters`,
and none of it raises.

::

    for event in device.service(Queue.INFLATE):
        if isinstance(event, Inflate | Report):
            punch(event.pieces)          # before the guest is told (5.5.6.2)
        if isinstance(event, Inflate | Deflate | Report):
            device.complete(event)
    for queue in device.take_notifications():
        notify(queue)
    if device.pending(Queue.INFLATE):
        ...                              # come back soon: the budget ran out
"""

from collections.abc import Iterator, Mapping
from typing import Any

from aerostat.balloon.abi import PAGE_POISON, PAGE_SIZE, Config, Queue
from aerostat.balloon.device_features import DEFAULT_FEATURES, KNOWN_FEATURES
from aerostat.balloon.events import (
    ActualChanged,
    ConfigChanged,
    Deflate,
    Event,
    Hint,
    Inflate,
    Report,
    Request,
    StatisticsArrived,
)
from aerostat.balloon.hinting import Hinting
from aerostat.balloon.lane import COUNTERS, STEP_PAGES, Lane
from aerostat.balloon.pages import Range
from aerostat.balloon.statistics import ENTRY_SIZE, MAX_ENTRIES, Byteorder, parse
from aerostat.errors import UsageError
from aerostat.virtio.chain import Chain
from aerostat.virtio.features import VERSION_1, has
from aerostat.virtio.ring import DeviceSide

__all__ = [
    "BUDGET",
    "DEFAULT_FEATURES",
    "KNOWN_FEATURES",
    "MAX_PAGES",
    "STEP_PAGES",
    "ActualChanged",
    "BalloonDevice",
    "ConfigChanged",
    "Deflate",
    "Event",
    "Hint",
    "Inflate",
    "Report",
    "Request",
    "StatisticsArrived",
]

MAX_PAGES = 0xFFFFFFFF

# Steps of one `service` call, so that one queue cannot keep the caller from everything else.
BUDGET = 64

_MAX_STATISTICS = MAX_ENTRIES * ENTRY_SIZE

_EVENTS: dict[Queue, type[Request]] = {
    Queue.INFLATE: Inflate,
    Queue.DEFLATE: Deflate,
    Queue.REPORTING: Report,
    Queue.HINT: Hint,
}
_QUEUES = {event: queue for queue, event in _EVENTS.items()}


class BalloonDevice:
    """A traditional memory balloon.

    `max_pages` (of 4096 bytes) bounds the target and what is believed of `actual`. `byteorder`
    is the guest's own, for a driver that does not negotiate VERSION_1 (5.5.6.3.3); it may be set
    later, as `guest_byteorder`. Raises `UsageError` for features that it could not honour.
    """

    def __init__(
        self,
        *,
        max_pages: int = MAX_PAGES,
        features: int = DEFAULT_FEATURES,
        byteorder: Byteorder = "little",
    ) -> None:
        if features & ~KNOWN_FEATURES:
            raise UsageError(f"not implemented: features {features & ~KNOWN_FEATURES:#x}")
        if not 0 < max_pages <= MAX_PAGES:
            raise UsageError(f"a balloon has 1 to {MAX_PAGES} pages, not {max_pages}")
        self.features = features
        self.negotiated = 0
        self.config = Config()
        self.max_pages = max_pages
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.hinting = Hinting(self.config, self.counters)
        self.guest_byteorder: Byteorder = byteorder
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
        return "little" if has(self.negotiated, VERSION_1) else self.guest_byteorder

    @property
    def balloon_size(self) -> int:
        """The balloon's size by the driver's word, in bytes, at most all of `max_pages`."""
        return min(self.config.actual, self.max_pages) * PAGE_SIZE

    @property
    def poison(self) -> int:
        """What the driver fills free pages with, and expects to find there again; often 0.

        "Page Poison" (5.5.6.6); a driver that does not negotiate it expects nothing.
        """
        return self.config.poison_val if has(self.negotiated, PAGE_POISON) else 0

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
        # By what is offered: QEMU tells the features only at DRIVER_OK, and `poison_val` must be
        # written before (5.5.6.6.1).
        self.config.write(offset, data, poison=has(self.features, PAGE_POISON))
        if self.config.actual == before:
            return None
        if self.config.actual > self.max_pages:
            self.counters["implausible_actual"] += 1
        return ActualChanged(self.balloon_size)

    # Queues coming and going

    def start(self, queue: Queue, ring: DeviceSide) -> None:
        """Serve `queue` from `ring`, which is now ours to release. It may have chains already."""
        if queue in self._lanes:
            raise UsageError(f"the {queue.name} queue is running already")
        self._lanes[queue] = Lane(ring, self.counters)

    def stop(self, queue: Queue) -> int:
        """Stop `queue`, release its ring, and return the base to start it from again.

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
        return lane.ring.base

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
        self.hinting.reset()
        return None if was_empty else ActualChanged(0)

    def restart(self) -> ActualChanged | None:
        """Begin anew, as `reset`, with a driver that has chosen its features already.

        What it has said before its queues started, holds: its features and `poison_val`.
        """
        features, poison_val = self.negotiated, self.config.poison_val
        changed = self.reset()
        self.negotiated, self.config.poison_val = features, poison_val
        return changed

    def state(self) -> dict[str, Any]:
        """Return what a successor must know of the driver, as values that JSON has.

        Its queues are to be stopped, so that what was in hand is in them again.
        """
        return {
            "negotiated": self.negotiated,
            "byteorder": self.guest_byteorder,
            "config": self.config.state(),
            "hinting": self.hinting.state(),
            "statistics_seen": self._statistics_seen,
            "latest": list(self._latest.items()),
            "put_back": list(self._put_back.items()),
            "counters": dict(self.counters),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where another device was, by its `state`, before any queue is started."""
        self.negotiated = state["negotiated"]
        self.guest_byteorder = state["byteorder"]
        self.config.restore(state["config"])
        self.hinting.restore(state["hinting"])
        self._statistics_seen = state["statistics_seen"]
        self._latest = dict(state["latest"])
        self._put_back = dict(state["put_back"])
        for name in self.counters:
            self.counters[name] = state["counters"].get(name, 0)

    def ring(self, queue: Queue) -> DeviceSide | None:
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

        Each event but `StatisticsArrived` must be completed before the next is asked for.
        """
        if queue is Queue.STATS:
            return self._service_statistics(budget)
        return self._service_requests(queue, budget)

    def pending(self, queue: Queue) -> bool:
        """Return whether `service` would find work on `queue`."""
        lane = self._lanes.get(queue)
        if lane is None:
            return False
        return lane.waiting or (lane.chain is not None and queue is not Queue.STATS)

    def complete(self, event: Request) -> None:
        """Acknowledge an event whose pages have been seen to (5.5.6: by using the buffer).

        A queue that was stopped in the meantime is none of the event's business any more.
        """
        queue = _QUEUES[type(event)]
        lane = self._lanes.get(queue)
        if lane is None or lane.awaited is not event:
            return
        lane.awaited = None
        if event.last:
            lane.finish()
            self._give_back(queue, lane, event.chain)

    def take_notifications(self) -> list[Queue]:
        """Return the queues whose driver must be notified of used buffers, and forget them."""
        queues, self._notify = self._notify, set()
        return sorted(queues)

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

    # Inflate, deflate, report, hint

    def _service_requests(self, queue: Queue, budget: int) -> Iterator[Request]:
        for _ in range(budget):
            lane = self._lanes.get(queue)
            if lane is None:
                return
            make = _EVENTS[queue]
            if lane.awaited is not None:
                raise UsageError(f"complete the last {make.__name__} first")
            if lane.chain is None:
                chain = lane.take()
                if chain is None:
                    return
                lane.begin(chain, self._steps(queue, lane, chain))
            assert lane.chain is not None
            ranges, last = lane.step()
            pieces, outside = lane.ring.memory.clip(ranges)
            self.counters["outside_pages"] += outside // PAGE_SIZE
            if queue is Queue.HINT:
                pieces = self.hinting.keep(pieces)
            event = lane.awaited = make(pieces, lane.chain, last)
            yield event

    def _steps(self, queue: Queue, lane: Lane, chain: Chain) -> Iterator[list[Range]]:
        if queue is Queue.REPORTING:
            return self._report_steps(lane, chain)
        if queue is Queue.HINT:
            return self.hinting.steps(lane, chain, self.byteorder)
        return lane.pages(chain, self.byteorder)

    def _report_steps(self, lane: Lane, chain: Chain) -> Iterator[list[Range]]:
        if not chain.writable:
            self.counters["useless_reports"] += 1
        if self.poison:
            # A hole reads as zeros, and the driver will find its poison there (5.5.6.7.2).
            self.counters["kept_reports"] += 1
            return
        yield from lane.ranges(chain)

    def _give_back(self, queue: Queue, lane: Lane, chain: Chain) -> None:
        # Nothing was written to it, whatever room the driver left for writing (2.7.8.2).
        lane.ring.push(chain.head)
        self._notify.add(queue)
