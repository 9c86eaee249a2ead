"""A guest's balloon driver as a state machine (virtio 1.2, 5.5.5 and 5.5.6, the driver's side).

Touches guest memory: its rings, and an arena for the buffers that the device reads. No files, no
registers, no clock; it never touches the pages that it gives and takes. Runs inside guests.

A *page* here is one of the guest's, `page_size` bytes, named by its number (address divided by
`page_size`). Where that is 4096 bytes, pages and the protocol's page numbers are the same; larger
ones are made of several (5.5.6). `num_pages` and `actual` are the configuration's own, always in
pages of 4096 bytes.

The device is not trusted: a queue on which it gives back what it does not have is left alone and
told of as `DeviceBroken`; nothing that it does raises.

::

    features = choose_features(offered, DEFAULT_FEATURES)
    driver = BalloonDriver(features)
    numbers = queue_numbers(offered, features)          # which virtqueue is which
    driver.attach(memory, rings, arena, driver.arena_size)
    driver.begin(statistics, poison=None)
    ...                                                 # take_config_writes(), as below
    ...                                                 # tell the device DRIVER_OK
    driver.ready()
    driver.config_changed(num_pages)                    # as read now, and at each announcement
    while running:
        if driver.wanted > 0:
            driver.inflate(allocate(min(driver.wanted, driver.pages_per_request)))
        elif driver.wanted < 0:
            driver.deflate(-driver.wanted)
        for offset, data in driver.take_config_writes():
            write_config(offset, data)                  # each one access
        for queue in driver.take_notifications():
            notify(numbers[queue])
        wait()
        for queue in numbers:
            for event in driver.service(queue):
                if isinstance(event, Deflated):
                    free(event.pages)                   # not before
                elif isinstance(event, StatisticsWanted):
                    driver.send_statistics(collect())
    reset_device()
    free(driver.stop())
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Literal

from aerostat.balloon.abi import CMD_ID_STOP, DEFLATE_ON_OOM, PAGE_POISON, PAGE_SIZE, Queue
from aerostat.balloon.driver_events import (
    Deflated,
    DeviceBroken,
    Event,
    Hinted,
    Inflated,
    Range,
    Reported,
)
from aerostat.balloon.driver_features import KNOWN_FEATURES, queues_of
from aerostat.balloon.driver_hinting import Hints
from aerostat.balloon.driver_lane import MAX_REPORT, Lane, arena_spaces
from aerostat.balloon.driver_pages import MAX_PFN, PageAccount, pack_pages
from aerostat.balloon.driver_phase import Phase, follow
from aerostat.balloon.driver_statistics import Answers
from aerostat.errors import UsageError
from aerostat.virtio.features import VERSION_1, has
from aerostat.virtio.memory import Byteorder, GuestMemory
from aerostat.virtio.ring import BrokenRing, DriverSide

#: Page numbers of 4096 bytes in one request, as many as Linux sends.
DEFAULT_BATCH = 256

_LE32 = Struct("<I")  # configuration is little-endian for legacy drivers, too (5.5.4)
_ACTUAL_OFFSET, _POISON_OFFSET = 4, 12
_MAX_POISON = 0xFFFFFFFF


class BalloonDriver:
    """A driver for one life of a device, from its reset to its next.

    `features` are the negotiated ones. `byteorder` is the guest's own, for a legacy driver.
    `batch` is how many page numbers of 4096 bytes are sent at once. A driver whose
    `statistics_first` is "uninitialised" sends its first statistics buffer as it finds it, which
    the drivers of 2009 did (5.5.6.3.3). Raises `UsageError` for what cannot be.
    """

    def __init__(
        self,
        features: int,
        *,
        byteorder: Byteorder = "little",
        page_size: int = PAGE_SIZE,
        batch: int = DEFAULT_BATCH,
        statistics_first: Literal["primed", "uninitialised"] = "primed",
    ) -> None:
        if features & ~KNOWN_FEATURES:
            raise UsageError(f"not known to the driver: features {features & ~KNOWN_FEATURES:#x}")
        if page_size < PAGE_SIZE or page_size & (page_size - 1):
            raise UsageError(f"no page is {page_size} bytes; a power of two from 4096 on is")
        self._pfns_per_page = page_size // PAGE_SIZE
        if batch < self._pfns_per_page:
            raise UsageError(f"a batch of {batch} has no room for a page of {page_size} bytes")
        if has(features, VERSION_1) and statistics_first == "uninitialised":
            raise UsageError("only legacy drivers sent statistics uninitialised")
        self.features = features
        self.byteorder: Byteorder = "little" if has(features, VERSION_1) else byteorder
        self.page_size = page_size
        self.pages_per_request = batch // self._pfns_per_page
        self.phase = Phase.NEW
        self.num_pages = 0
        self.poison: int | None = None
        self.hints: Hints | None = None  # with FREE_PAGE_HINT, from `attach` on
        self._spaces = arena_spaces(features, batch)
        self._primed = statistics_first == "primed"
        self._lanes: dict[Queue, Lane[Event]] = {}
        self._account = PageAccount()
        self._answers: Answers | None = None
        self._leaving = False
        self._relieved = False
        self._config_writes: dict[int, bytes] = {}

    # Coming and going

    @property
    def queues(self) -> list[Queue]:
        """The queues that a ring is needed for."""
        return queues_of(self.features)

    @property
    def arena_size(self) -> int:
        """The bytes that are needed for the buffers, and for indirect tables if negotiated."""
        return sum(space.size for space in self._spaces.values())

    def attach(
        self, memory: GuestMemory, rings: Mapping[Queue, DriverSide], arena: int, arena_size: int
    ) -> None:
        """Take a ring for each queue, and `arena_size` bytes at address `arena`, 16-aligned.

        They stay the driver's until it stops; the rings are then released.
        """
        if sorted(rings) != self.queues:
            raise UsageError(f"rings are needed for {[queue.name for queue in self.queues]}")
        if arena_size < self.arena_size or arena % 16:
            raise UsageError(f"{arena_size} bytes at {arena:#x} are no arena")
        self.phase = follow(self.phase, "attach")
        for queue, space in self._spaces.items():
            self._lanes[queue] = Lane(memory, rings[queue], arena, space)
            arena += space.size
        if Queue.HINT in self._lanes:
            self.hints = Hints(self._lanes[Queue.HINT], self.byteorder)

    def begin(self, statistics: Mapping[int, int], poison: int | None = None) -> None:
        """Do what comes before DRIVER_OK: the first statistics buffer, the poison value (5.5.5).

        The tags of `statistics` are those of every buffer to come (5.5.6.3.1). They count only if
        STATS_VQ was negotiated, `poison` (32 bits) only if PAGE_POISON was.
        """
        after = follow(self.phase, "begin")
        if has(self.features, PAGE_POISON):
            if poison is None or not 0 <= poison <= _MAX_POISON:
                raise UsageError("PAGE_POISON was negotiated: it takes a value of 32 bits")
            self._config_writes[_POISON_OFFSET] = _LE32.pack(poison)
            self.poison = poison
        if Queue.STATS in self._lanes:
            self._answers = Answers(self._lanes[Queue.STATS], self.byteorder)
            self._answers.begin(statistics, primed=self._primed)
        self.phase = after

    def ready(self) -> None:
        """Go: DRIVER_OK is set. Only from here on is there anything to notify (3.1.1).

        The size of the balloon is told at once: a device may remember that of an earlier driver.
        """
        if _POISON_OFFSET in self._config_writes:
            raise UsageError("poison_val is written before DRIVER_OK (5.5.6.6.1)")
        self.phase = follow(self.phase, "ready")
        self._tell_actual()

    def leave(self) -> None:
        """Want an empty balloon from now on whatever the device says, as before an unloading."""
        self._leaving = True

    def stop(self) -> list[int]:
        """End, after the device was reset: return the pages that are the guest's again by that.

        They are those in the balloon and those on their way there or back. Ranges that were
        reported or hinted, too, may be used again.
        """
        self.phase = follow(self.phase, "stop")
        for lane in self._lanes.values():
            lane.ring.release()
        self._lanes.clear()
        self.hints = None
        pages, self._account = self._account.pages(), PageAccount()
        return pages

    # What is and what should be

    @property
    def actual(self) -> int:
        """The size of the balloon as the device is told it, in pages of 4096 bytes."""
        return min(self.held_pages * self._pfns_per_page, MAX_PFN)

    @property
    def held_pages(self) -> int:
        """The pages that the device has: those that it acknowledged, and has not returned yet."""
        return len(self._account) + self._in_flight(Queue.DEFLATE)

    @property
    def balloon_size(self) -> int:
        """The same in bytes."""
        return self.held_pages * self.page_size

    @property
    def wanted(self) -> int:
        """How many pages are still to be given (positive) or taken back (negative).

        0 also means "not now": while the queue that is needed has a request or is broken, and,
        after `relieve`, until the next `config_changed`. Pages on their way there do not count,
        since they cannot be asked back yet (5.5.6.1); those on their way back are gone.
        """
        if self.phase is not Phase.RUNNING:
            return 0
        target = 0 if self._leaving else -(-self.num_pages // self._pfns_per_page)
        lacking = target - len(self._account)
        if lacking < 0:
            return lacking if self.idle(Queue.DEFLATE) else 0
        return lacking if self.idle(Queue.INFLATE) and not self._relieved else 0

    def idle(self, queue: Queue) -> bool:
        """Whether a request can be made on `queue`: it exists, is not broken, and has none."""
        lane = self._lanes.get(queue)
        return lane is not None and lane.idle

    @property
    def broken(self) -> list[Queue]:
        """The queues that the device broke."""
        return [queue for queue, lane in self._lanes.items() if lane.problem]

    def config_changed(self, num_pages: int, hint_cmd_id: int = CMD_ID_STOP) -> None:
        """Take `num_pages` as the device's wish, in pages of 4096 bytes.

        To be called when the device announces a change, or another value is found. It also ends
        the rest that follows `relieve`. `hint_cmd_id` counts with FREE_PAGE_HINT; see `hints`.
        """
        self.num_pages = num_pages
        self._relieved = False
        if self.hints is not None and self.phase is Phase.RUNNING:
            self.hints.config_changed(hint_cmd_id)

    # Pages

    def inflate(self, pages: Sequence[int]) -> None:
        """Give `pages` to the balloon, at most `pages_per_request`.

        They must not be touched from now on (5.5.6.1). Raises `UsageError` if the queue is not
        idle, or one of them is not the guest's to give.
        """
        if not pages:
            return
        follow(self.phase, "inflate")
        self._check_request(Queue.INFLATE, len(pages), self.pages_per_request)
        if min(pages) < 0 or (max(pages) + 1) * self._pfns_per_page - 1 > MAX_PFN:
            raise UsageError("page numbers have 32 bits, which reach to 16 TiB")
        twice = self._account.give(pages)
        if twice is not None:
            raise UsageError(f"page {twice} was given before")
        self._send_pages(Queue.INFLATE, Inflated(list(pages)))

    def deflate(self, count: int) -> list[int]:
        """Ask for at most `count` pages back; return which. They are the guest's when `Deflated`.

        Never more than the target allows, nor than fit a request; none while an earlier request is
        out. What was given last comes first.
        """
        return self._deflate(min(count, -self.wanted))

    def relieve(self, count: int) -> list[int]:
        """Ask for at most `count` pages back although the target forbids it: memory is short.

        Only with DEFLATE_ON_OOM (5.5.6.1); without it, none. The balloon is then left so until the
        device changes its configuration.
        """
        if count <= 0 or not has(self.features, DEFLATE_ON_OOM):
            return []
        follow(self.phase, "deflate")
        self._relieved = True
        return self._deflate(count)

    def report(self, ranges: Sequence[Range]) -> bool:
        """Tell the device of free memory, at most `report_room` ranges; false: not now.

        Ranges are (address, length) in bytes, whole pages. They must not be used until they are
        `Reported`. If PAGE_POISON was negotiated they must hold the poison value (5.5.6.7.1).
        """
        follow(self.phase, "report")
        if not ranges or not self.idle(Queue.REPORTING):
            return False
        self._check_request(Queue.REPORTING, len(ranges), self.report_room)
        for address, length in ranges:
            if length <= 0 or (address | length) % self.page_size:
                raise UsageError(f"{address:#x}+{length:#x} is not whole pages")
        self._lanes[Queue.REPORTING].lend(ranges, Reported(list(ranges)))
        return True

    @property
    def report_room(self) -> int:
        """How many ranges one report may have; 0 without PAGE_REPORTING."""
        lane = self._lanes.get(Queue.REPORTING)
        return min(MAX_REPORT, lane.ring.size) if lane else 0

    # Statistics

    def send_statistics(self, statistics: Mapping[int, int]) -> None:
        """Answer `StatisticsWanted`. The tags are those of `begin`, all of them, every time.

        Raises `UsageError` for other tags, or if the device has not asked: only one buffer may be
        out (5.5.6.3.1). On a queue that broke since, nothing happens.
        """
        follow(self.phase, "send_statistics")
        if self._answers is None:
            raise UsageError("STATS_VQ was not negotiated")
        self._answers.send(statistics)

    # What the device did, and what the transport is to do

    def service(self, queue: Queue) -> list[Event]:
        """Return what happened on `queue` since the last time; often nothing.

        May be called at any time: an interrupt without cause does no harm (2.7.7.1).
        """
        lane = self._lanes.get(queue)
        if lane is None or lane.problem:
            return []
        try:
            returned = lane.done()
        except BrokenRing as error:
            return [DeviceBroken(queue, str(error))]
        if returned is None:
            return []
        self._settle(returned)
        return [returned]

    def take_notifications(self) -> list[Queue]:
        """Return the queues whose buffers the device is to be told of, and forget them."""
        if self.phase is not Phase.RUNNING:
            return []
        return [queue for queue, lane in self._lanes.items() if lane.take_notification()]

    def take_config_writes(self) -> list[tuple[int, bytes]]:
        """Return what to write to the configuration space, (offset, bytes), and forget it.

        Each in one access of its size (5.5.6.2.1); of several sizes of the balloon, the last.
        """
        writes = sorted(self._config_writes.items())
        self._config_writes.clear()
        return writes

    # Within

    def _check_request(self, queue: Queue, count: int, most: int) -> None:
        if not self.idle(queue):
            raise UsageError(f"the {queue.name} queue has a request, or is broken")
        if count > most:
            raise UsageError(f"{count} in one request, but {most} is the most")

    def _in_flight(self, queue: Queue) -> int:
        lane = self._lanes.get(queue)
        request = lane.request if lane else None
        return len(request.pages) if isinstance(request, (Inflated, Deflated)) else 0

    def _deflate(self, count: int) -> list[int]:
        if count <= 0 or not self.idle(Queue.DEFLATE):
            return []
        pages = self._account.ask(min(count, self.pages_per_request))
        if pages:
            self._send_pages(Queue.DEFLATE, Deflated(pages))
        return pages

    def _send_pages(self, queue: Queue, request: Inflated | Deflated) -> None:
        payload = pack_pages(request.pages, self._pfns_per_page, self.byteorder)
        self._lanes[queue].send(payload, request)

    def _settle(self, returned: Event) -> None:
        if isinstance(returned, Inflated):
            self._account.arrive(returned.pages)
            self._tell_actual()
        elif isinstance(returned, Deflated):
            self._account.regain(returned.pages)
            self._tell_actual()
        elif isinstance(returned, Hinted) and self.hints is not None:
            self.hints.proceed()

    def _tell_actual(self) -> None:
        self._config_writes[_ACTUAL_OFFSET] = _LE32.pack(self.actual)
