"""Faults that only a bad device brings to light: drivers that die, hang or lose their way."""

# ruff: noqa: D103, SLF001 - names say what is wrong, and that is planted where nobody has business

import os
import time
from typing import Any

from aerostat.balloon.abi import Queue
from aerostat.balloon.driver import BalloonDriver
from aerostat.process_guest.link import DeviceLink
from aerostat.process_guest.work import BalloonWork
from aerostat.testing.check.driver.faults.terms import fault, replace

_SOON = 0.1  # seconds
_PAGES = 65536  # of the guest that the kit checks, as a driver might count them
_MOST_ANNOUNCEMENTS = 150


def _told(change: Any) -> None:
    """Have `change(work, num_pages)` say what the driver makes of a configuration."""

    def changed(config_changed: Any) -> Any:
        def being_told(self: BalloonWork, num_pages: int, cmd_id: int) -> None:
            wanted = change(self, num_pages)
            if wanted is not None:
                config_changed(self, wanted, cmd_id)

        return being_told

    replace(BalloonWork, "config_changed", changed)


@fault("BAD-DRV-2")
def dies_of_a_target_beyond_its_memory() -> None:
    def strict(_: BalloonWork, num_pages: int) -> int:
        if num_pages > _PAGES:
            os.abort()
        return num_pages

    _told(strict)


@fault("BAD-DRV-2")
def takes_a_target_for_a_signed_number() -> None:
    def signed(work: BalloonWork, num_pages: int) -> int:
        if num_pages >= 1 << 31:
            work._running = False  # and there is nothing that it would do any more
        return num_pages

    _told(signed)


@fault("BAD-DRV-3")
def misses_targets_while_it_is_busy() -> None:
    def deaf(work: BalloonWork, num_pages: int) -> int | None:
        busy = not (work.driver.idle(Queue.INFLATE) and work.driver.idle(Queue.DEFLATE))
        return None if busy else num_pages

    _told(deaf)


@fault("BAD-DRV-3")
def empties_its_balloon_when_nothing_has_changed() -> None:
    last: list[int] = []

    def toggling(_: BalloonWork, num_pages: int) -> int:
        same = bool(last) and last[-1] == num_pages
        last.append(num_pages)
        return 0 if same else num_pages

    _told(toggling)


@fault("BAD-DRV-3")
def hangs_after_many_announcements() -> None:
    count = 0

    def weary(_: BalloonWork, num_pages: int) -> int:
        nonlocal count
        count += 1
        while count > _MOST_ANNOUNCEMENTS:
            time.sleep(1)
        return num_pages

    _told(weary)


@fault("BAD-DRV-1")
def gives_up_on_a_slow_device() -> None:
    def impatient(inflate: Any) -> Any:
        def inflating(self: BalloonDriver, pages: Any) -> None:
            inflate(self, pages)
            self.since = time.monotonic()  # type: ignore[attr-defined]

        return inflating

    def timing_out(service: Any) -> Any:
        def serving(self: BalloonDriver, queue: Queue) -> Any:
            waits = queue is Queue.INFLATE and self._lanes[queue].request is not None
            if waits and time.monotonic() > getattr(self, "since", 1e18) + _SOON:
                self._lanes[queue].problem = "timed out"
            return service(self, queue)

        return serving

    replace(BalloonDriver, "inflate", impatient)
    replace(BalloonDriver, "service", timing_out)


@fault("BAD-DRV-6")
def dies_when_its_device_is_gone() -> None:
    replace(DeviceLink, "_lost", lambda _: lambda *_: os.abort())


@fault("BAD-DRV-6")
def comes_back_and_does_nothing() -> None:
    lost: list[object] = []

    def losing(lose: Any) -> Any:
        def being_lost(self: DeviceLink, error: Any) -> None:
            lost.append(error)
            lose(self, error)

        return being_lost

    def lame(run: Any) -> Any:
        return lambda self: None if lost else run(self)

    replace(DeviceLink, "_lost", losing)
    replace(BalloonWork, "run", lame)
