"""A balloon device that watches its driver: what the driver does wrong, by the statements' ids.

It serves as `BalloonDevice` does, and beside that keeps a shadow of the balloon, page by page
(virtio 1.2, 5.5.6). It can also keep requests to itself, so that a test has time to see what a
driver does while it waits. For our own driver and for other people's.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from aerostat.balloon.abi import (
    DEFLATE_ON_OOM,
    MUST_TELL_HOST,
    PAGE_POISON,
    PAGE_SIZE,
    Config,
    Queue,
)
from aerostat.balloon.device import (
    BUDGET,
    DEFAULT_FEATURES,
    MAX_PAGES,
    ActualChanged,
    BalloonDevice,
    ConfigChanged,
    Deflate,
    Event,
    Hint,
    Inflate,
    Report,
    Request,
    StatisticsArrived,
)
from aerostat.balloon.lane import Lane
from aerostat.balloon.statistics import ENTRY_SIZE, Byteorder
from aerostat.testing.conformance.statements import statement
from aerostat.testing.conformance.watched_hints import Fault, HintWatch
from aerostat.virtio.chain import Chain
from aerostat.virtio.features import has
from aerostat.virtio.memory import BadAddress
from aerostat.virtio.ring import DeviceSide

_PFN_SIZE = 4
_ACTUAL = range(4, 8)  # where in the configuration space, 5.5.4
_CMD_ID = range(8, 12)
_POISON_VAL = range(12, 16)
_QUEUES = {
    Inflate: Queue.INFLATE,
    Deflate: Queue.DEFLATE,
    Report: Queue.REPORTING,
    Hint: Queue.HINT,
}


class Offence(NamedTuple):
    """Something that the driver did against a statement of the specification."""

    id: str
    words: str


class WatchedDevice(BalloonDevice):
    """A `BalloonDevice` that notes its driver's offences.

    `balloon` is the numbers of the pages in it, `inflating` and `deflating` those of requests
    that the device has not acknowledged yet. `tags` is which figures came, buffer by buffer, and
    `reported` the (address, length) of all that was reported; `hints` has those of hints. While a
    queue is in `holding`, its requests are not acknowledged: `held` has them.
    """

    def __init__(
        self,
        *,
        max_pages: int = MAX_PAGES,
        features: int = DEFAULT_FEATURES,
        byteorder: Byteorder = "little",
    ) -> None:
        super().__init__(max_pages=max_pages, features=features, byteorder=byteorder)
        self.offences: list[Offence] = []
        self.balloon: set[int] = set()
        self.inflating: set[int] = set()
        self.deflating: set[int] = set()
        self.tags: list[tuple[int, ...]] = []
        self.reported: list[tuple[int, int]] = []
        self.hints = HintWatch()
        self.actual_writes: list[int] = []
        self.holding: set[Queue] = set()
        self.held: list[Request] = []
        self._seen: dict[Queue, Chain] = {}
        self._lowest_target = 0
        self._poison_written = False
        self._at_work = False

    def release(self, queue: Queue) -> None:
        """Acknowledge all that waits on `queue`, doing nothing else with it, and hold no more.

        The driver must be notified then.
        """
        self.holding.discard(queue)
        for request in [one for one in self.held if _QUEUES[type(one)] is queue]:
            self.held.remove(request)
            self.complete(request)
        for event in self.service(queue):
            if not isinstance(event, StatisticsArrived):
                self.complete(event)

    # ---- what the driver chooses and writes

    def start(self, queue: Queue, ring: DeviceSide) -> None:
        """Start; by now the features are settled."""
        if queue is Queue.INFLATE and has(self.features, MUST_TELL_HOST):
            self._expect("DRV-FEAT-1", has(self.negotiated, MUST_TELL_HOST), "was left out")
        super().start(queue, ring)

    def reset(self) -> ActualChanged | None:
        """Forget the balloon: its pages are the guest's again."""
        for pages in (self.balloon, self.inflating, self.deflating):
            pages.clear()
        for record in (self.held, self._seen, self.tags):
            record.clear()
        self._poison_written = self._at_work = False
        self.hints.reset()
        return super().reset()

    def restart(self) -> ActualChanged | None:
        """Begin anew; what the new driver has written already, stays."""
        written = self._poison_written
        changed = super().restart()
        self._poison_written = written
        return changed

    def set_target(self, num_pages: int) -> ConfigChanged | None:
        """Set the target, and remember the lowest that the driver may still be on its way to."""
        changed = super().set_target(num_pages)
        self._lowest_target = min(self._lowest_target, self.config.num_pages)
        return changed

    def write_config(self, offset: int, data: bytes) -> ActualChanged | None:
        """Take a write, and look where it goes.

        Of the whole space nothing can be told: it is the front-end that sends it so.
        """
        written = range(offset, offset + len(data))
        if not (offset == 0 and len(data) >= Config.SIZE):
            self._expect("CFG-2", not _common(written, _CMD_ID), f"{len(data)} bytes at {offset}")
            whole = written == _ACTUAL or not _common(written, _ACTUAL)
            self._expect("LEG-OP-2", whole, f"{len(data)} bytes at {offset}")
        if _common(written, _POISON_VAL):
            self._poison_written = True
        poison_val = self.config.poison_val
        if _common(written, _ACTUAL):
            self.actual_writes.append(int.from_bytes(data[4 - offset :][:4], "little"))
        changed = super().write_config(offset, data)
        kept = self.config.poison_val == poison_val
        self._expect("DRV-POISON-3", kept or not self._at_work, "changed poison_val at work")
        return changed

    # ---- what the driver sends

    def pending(self, queue: Queue) -> bool:
        """Return whether there is work; there is none while a request is held."""
        return not self._holds(queue) and super().pending(queue)

    def service(self, queue: Queue, budget: int = BUDGET) -> Iterator[Event]:
        """Look at each request before it is done."""
        if self._holds(queue):
            return
        extra = self.counters["extra_statistics"]
        for event in super().service(queue, budget):
            if not isinstance(event, StatisticsArrived) and self._seen.get(queue) != event.chain:
                self._seen[queue] = event.chain
                self._look(queue, event)
            yield event
            if self._holds(queue):
                return
        alone = self.counters["extra_statistics"] == extra
        self._expect("DRV-STATS-1", alone, "a second buffer while one was held")

    def complete(self, event: Request) -> None:
        """Acknowledge, unless the queue is held."""
        queue = _QUEUES[type(event)]
        if queue in self.holding:
            self.held.append(event)
            return
        if event.last:
            self._seen.pop(queue, None)
            if isinstance(event, Inflate):
                self.balloon |= self.inflating
                self.inflating.clear()
            elif isinstance(event, Deflate):
                self.deflating.clear()
            if len(self.balloon) == self.config.num_pages:
                self._lowest_target = self.config.num_pages
        super().complete(event)

    def _holds(self, queue: Queue) -> bool:
        return any(_QUEUES[type(request)] is queue for request in self.held)

    def pages_of(self, event: Inflate | Deflate) -> list[int]:
        """Return the page numbers of a request, as the driver wrote them; none if not in memory."""
        ring = self.ring(Queue.INFLATE if isinstance(event, Inflate) else Queue.DEFLATE)
        assert ring is not None
        try:
            payload = event.chain.read(ring.memory)
        except BadAddress:
            return []
        whole = payload[: len(payload) // _PFN_SIZE * _PFN_SIZE]
        order = "<" if self.byteorder == "little" else ">"
        return [pfn for (pfn,) in struct.iter_unpack(order + "I", whole)]

    def _look(self, queue: Queue, event: Request) -> None:
        if not self._at_work and has(self.negotiated, PAGE_POISON):
            self._expect("DRV-POISON-2", self._poison_written, "did not write poison_val")
        # DRIVER_OK itself is not seen over vhost-user; rings may run before it.
        self._at_work = True
        if isinstance(event, Report):
            self.reported += event.chain.writable
            if has(self.negotiated, PAGE_POISON):
                self._look_for_poison(event)
            return
        if isinstance(event, Hint):
            self._look_at_hint(event.chain)
            return
        length = event.chain.readable_length
        fine = not event.chain.writable and length % _PFN_SIZE == 0
        self._expect("DRV-OP-13", fine, f"a request of {length} bytes on {queue.name}")
        pages = self.pages_of(event)
        self._expect("DRV-OP-13", bool(pages), "a request that names no page")
        named = set(pages)
        self._expect("DRV-OP-14", len(named) == len(pages), "a page twice in one request")
        if isinstance(event, Inflate):
            inside = self.balloon | self.inflating
            self._expect("DRV-OP-14", not named & inside, "gives what is in the balloon")
            if has(self.negotiated, MUST_TELL_HOST):
                self._expect("DRV-OP-7", not named & self.deflating, "used what is not back yet")
            self.inflating |= named
        else:
            self._look_at_deflation(named)

    def _look_at_deflation(self, named: set[int]) -> None:
        self._expect("DRV-OP-10", not named & self.inflating, "takes back what is being given")
        foreign = named - self.balloon - self.inflating
        self._expect("DRV-OP-14", not foreign, f"takes back {len(foreign)} pages that it has")
        if not has(self.negotiated, DEFLATE_ON_OOM):
            # The driver may not have seen yet that the target rose again.
            above = len(self.balloon) > self._lowest_target
            self._expect("DRV-OP-4", above, f"{len(self.balloon)} pages, none too many")
        self.balloon -= named
        self.deflating |= named

    def _look_at_hint(self, chain: Chain) -> None:
        ring = self.ring(Queue.HINT)
        assert ring is not None
        faults: list[Fault] = []
        if chain.readable:
            try:
                payload = chain.read(ring.memory)
            except BadAddress:
                payload = b""
            faults += self.hints.command(payload, self.byteorder)
        if chain.writable:
            faults += self.hints.hint(chain.writable, self.config.cmd_id)
        for id, words in faults:  # noqa: A001 - what it is
            self._expect(id, kept=False, words=words)

    def _look_for_poison(self, event: Report) -> None:
        poison = self.config.poison_val.to_bytes(4, "little") * (PAGE_SIZE // 4)
        ring = self.ring(Queue.REPORTING)
        assert ring is not None
        # Not the event's pieces: a device that must keep the poison takes none.
        pieces, _ = ring.memory.clip(event.chain.writable)
        pages = [
            bytes(region.view[at : at + PAGE_SIZE])
            for region, offset, length in pieces
            for at in range(offset, offset + length, PAGE_SIZE)
        ]
        wrong = sum(page != poison for page in pages)
        self._expect("DRV-REP-2", not wrong, f"{wrong} of {len(pages)} pages without poison")

    def _statistics(self, lane: Lane, chain: Chain) -> dict[int, int]:
        first = not self._statistics_seen
        statistics = super()._statistics(lane, chain)
        length = chain.readable_length
        self._expect("DRV-STATS-3", not chain.writable, "a buffer that is not readable")
        self._expect("DRV-STATS-5", length % ENTRY_SIZE == 0, f"{length} bytes")
        if first and not statistics:
            return statistics  # empty, as 5.5.5 describes, or a legacy driver's: LEG-STATS-2
        self._expect("DRV-STATS-4", bool(statistics), "a buffer without figures")
        tags = tuple(statistics)
        same = not self.tags or set(tags) == set(self.tags[-1])
        self._expect("DRV-STATS-8", same, f"{tags} after {self.tags[-1:]}")
        self.tags.append(tags)
        return statistics

    def _expect(self, id: str, kept: bool, words: str) -> None:  # noqa: A002, FBT001 - private
        if not kept:
            self.offences.append(Offence(statement(id).id, words))


def _common(one: range, other: range) -> bool:
    return max(one.start, other.start) < min(one.stop, other.stop)
