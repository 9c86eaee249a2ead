"""Faults in what a driver does with the pages of its balloon."""

# ruff: noqa: D103, SLF001 - names say what is wrong, and that is planted where nobody has business

import struct
from collections.abc import Iterable
from typing import Any

from aerostat.balloon import driver
from aerostat.balloon.abi import DEFLATE_ON_OOM, PAGE_SIZE, Queue
from aerostat.balloon.driver import BalloonDriver
from aerostat.balloon.driver_events import Deflated, Inflated
from aerostat.balloon.driver_lane import Lane
from aerostat.balloon.driver_pages import PageAccount, pack_pages
from aerostat.process_guest.work import BalloonWork
from aerostat.testing.check.driver.faults.terms import fault, replace
from aerostat.virtio.features import has
from aerostat.virtio.ring import BrokenRing

_SOON = 0.1  # seconds


def _use(work: BalloonWork, numbers: Iterable[int]) -> None:
    """Write into pages as a program would."""
    for number in numbers:
        work.rings.rings[Queue.INFLATE].memory.write(number * PAGE_SIZE, b"used")


def _sending(change: Any) -> None:
    """Have `change(queue, pages)` say which pages a request names."""

    def changed(_: Any) -> Any:
        def sending(self: BalloonDriver, queue: Queue, request: Any) -> None:
            payload = pack_pages(change(queue, request.pages), 1, self.byteorder)
            self._lanes[queue].send(payload, request)

        return sending

    replace(BalloonDriver, "_send_pages", changed)


def _packing(change: Any) -> None:
    """Have `change(pages)` make the payload of a request."""
    replace(driver, "pack_pages", lambda _: lambda pages, *_: change(pages))


@fault("DRV-OP-13", "DRV-OP-14")
def sends_page_numbers_of_64_bits() -> None:
    _packing(lambda pages: struct.pack(f"<{len(pages)}Q", *pages))


@fault("DRV-OP-13")
def sends_addresses_for_page_numbers() -> None:
    _packing(lambda pages: struct.pack(f"<{len(pages)}I", *(n * PAGE_SIZE for n in pages)))


@fault("DRV-OP-13")
def sends_a_byte_too_much() -> None:
    _packing(lambda pages: struct.pack(f"<{len(pages)}Ix", *pages))


@fault("DRV-OP-14")
def names_a_page_twice_in_a_request() -> None:
    _sending(lambda _, pages: [*pages, pages[0]])


@fault("DRV-OP-14")
def takes_back_a_page_too_many() -> None:
    _sending(lambda queue, pages: [*pages, 9] if queue is Queue.DEFLATE else pages)


@fault("DRV-OP-14")
def forgets_what_it_gave() -> None:
    """Give the same pages in each request."""
    first: list[int] = []

    def same(queue: Queue, pages: list[int]) -> list[int]:
        first.extend(pages if not first else ())
        return first[: len(pages)] if queue is Queue.INFLATE else pages

    _sending(same)


@fault("DRV-OP-6", "DRV-OP-11", "USE-DRV-2")
def takes_pages_back_untold() -> None:
    def untold(send: Any) -> Any:
        def sending(self: BalloonDriver, queue: Queue, request: Any) -> None:
            if queue is Queue.INFLATE:
                send(self, queue, request)
            else:
                self._account.regain(request.pages)
                self._tell_actual()

        return sending

    replace(BalloonDriver, "_send_pages", untold)


@fault("DRV-OP-6")
def uses_a_page_of_the_balloon() -> None:
    def greedy(handle: Any) -> Any:
        def handling(self: BalloonWork, event: Any) -> None:
            handle(self, event)
            if isinstance(event, Inflated):
                self._loop.call_later(_SOON, lambda: use(self, event.pages[0]))

        def use(self: BalloonWork, page: int) -> None:
            if self._running and page in self.driver._account._balloon:
                _use(self, [page])
                self._loop.call_later(_SOON, lambda: use(self, page))

        return handling

    replace(BalloonWork, "_handle", greedy)


@fault("DRV-OP-9")
def uses_a_page_that_it_gives() -> None:
    def greedy(balance: Any) -> Any:
        def balancing(self: BalloonWork) -> None:
            balance(self)
            request = self.driver._lanes[Queue.INFLATE].request
            if isinstance(request, Inflated):
                self._loop.call_later(_SOON, lambda: _use(self, request.pages[:1]))

        return balancing

    replace(BalloonWork, "_balance", greedy)


@fault("DRV-OP-7")
def uses_a_page_before_it_is_back() -> None:
    def greedy(balance: Any) -> Any:
        def balancing(self: BalloonWork) -> None:
            balance(self)
            request = self.driver._lanes[Queue.DEFLATE].request
            if isinstance(request, Deflated):
                self._loop.call_later(_SOON, lambda: _use(self, request.pages[:1]))

        return balancing

    replace(BalloonWork, "_balance", greedy)


@fault("DRV-OP-7")
def gives_a_page_again_before_it_is_back() -> None:
    def hasty(send: Any) -> Any:
        def sending(self: BalloonDriver, queue: Queue, request: Any) -> None:
            send(self, queue, request)
            if queue is Queue.DEFLATE:
                self._account.regain(request.pages)

        return sending

    def early(balance: Any) -> Any:
        def balancing(self: BalloonWork) -> None:
            before = self.driver._lanes[Queue.DEFLATE].request
            balance(self)
            request = self.driver._lanes[Queue.DEFLATE].request
            if isinstance(request, Deflated) and before is None:
                self._kernel.give_back(request.pages)

        return balancing

    replace(BalloonDriver, "_send_pages", hasty)
    replace(BalloonWork, "_balance", early)
    replace(PageAccount, "regain", _lenient)
    replace(BalloonWork, "_handle", _unless_deflated)


def _lenient(regain: Any) -> Any:
    def regaining(self: PageAccount, numbers: list[int]) -> None:
        regain(self, [n for n in numbers if self._away.get(n // 1024, 0) >> n % 1024 & 1])

    return regaining


def _unless_deflated(handle: Any) -> Any:
    def handling(self: BalloonWork, event: Any) -> None:
        if not isinstance(event, Deflated):
            handle(self, event)

    return handling


@fault("DRV-OP-10")
def asks_back_what_it_is_still_giving() -> None:
    def hasty(send: Any) -> Any:
        def sending(self: BalloonDriver, queue: Queue, request: Any) -> None:
            send(self, queue, request)
            if queue is Queue.INFLATE:
                self._account.arrive(request.pages)

        return sending

    replace(BalloonDriver, "_send_pages", hasty)
    replace(PageAccount, "arrive", _only_once)


def _only_once(arrive: Any) -> Any:
    def arriving(self: PageAccount, numbers: list[int]) -> None:
        inside = set(self._balloon)
        arrive(self, [n for n in numbers if n not in inside])

    return arriving


@fault("DRV-OP-4")
def takes_pages_back_without_leave() -> None:
    """Relieve itself, sooner or later, whatever was agreed on."""

    def bold(run: Any) -> Any:
        def running(self: BalloonWork) -> None:
            run(self)
            self._loop.call_later(4 * _SOON, lambda: relieve(self))

        def relieve(self: BalloonWork) -> None:
            if self._running and not has(self.driver.features, DEFLATE_ON_OOM):
                self.driver._deflate(10)
                self._tell_device()
            self._loop.call_later(4 * _SOON, lambda: relieve(self))

        return running

    replace(BalloonWork, "run", bold)


@fault("DRV-OP-11")
def never_tells_its_size() -> None:
    replace(BalloonDriver, "_tell_actual", lambda _: lambda *_: None)


@fault("DRV-OP-11")
def tells_its_size_in_bytes() -> None:
    def in_bytes(take: Any) -> Any:
        def taking(self: BalloonDriver) -> list[tuple[int, bytes]]:
            return [
                (offset, (int.from_bytes(data, "little") * PAGE_SIZE).to_bytes(8, "little")[:4])
                for offset, data in take(self)
            ]

        return taking

    replace(BalloonDriver, "take_config_writes", in_bytes)


def _wanting(change: Any) -> None:
    """Have `change(wanted)` say how many pages the driver wants to give."""

    def changed(wanted: Any) -> property:
        return property(lambda self: change(wanted.fget(self)))

    replace(BalloonDriver, "wanted", changed)


@fault("DRV-OP-1")
def gives_nothing() -> None:
    _wanting(lambda wanted: min(wanted, 0))


@fault("DRV-OP-1")
def stops_at_a_thousand_pages() -> None:
    def lazy(inflate: Any) -> Any:
        def inflating(self: BalloonDriver, numbers: list[int]) -> None:
            if self.held_pages < 1000:
                inflate(self, numbers)

        return inflating

    replace(BalloonDriver, "inflate", lazy)


@fault("USE-DRV-2")
def takes_nothing_back() -> None:
    _wanting(lambda wanted: max(wanted, 0))


@fault("USE-DRV-2")
def gives_one_page_more_than_wanted() -> None:
    def more(config_changed: Any) -> Any:
        return lambda self, num_pages, cmd_id=0: config_changed(self, num_pages + 1, cmd_id)

    replace(BalloonDriver, "config_changed", more)


@fault("LEG-OP-1")
def believes_the_used_length() -> None:
    def strict(done: Any) -> Any:
        def being_done(self: Lane[Any]) -> Any:
            for used in (returned := self.ring.collect()):
                if used.written:
                    raise BrokenRing(f"{used.written} bytes written")
            self.ring.collect = lambda: returned  # type: ignore[method-assign]
            try:
                return done(self)
            finally:
                del self.ring.collect

        return being_done

    replace(Lane, "done", strict)
