"""One process guest, put together: its memory, its kernel, its link to a balloon device, a console.

Touches the monotonic clock, which makes time pass in the guest, and what its rooms touch.
"""

import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aerostat.balloon.abi import DEFLATE_ON_OOM, FREE_PAGE_HINT, PAGE_REPORTING, PAGE_SIZE
from aerostat.balloon.driver_features import DEFAULT_FEATURES
from aerostat.balloon.statistics import Tag
from aerostat.device.loop import Loop, Timer
from aerostat.errors import AerostatError, LinkError, UsageError
from aerostat.model.workload import Workload
from aerostat.process_guest.console import Console
from aerostat.process_guest.interface import DriverOptions, State
from aerostat.process_guest.kernel import REPORT_EVERY, Kernel
from aerostat.process_guest.link import DeviceLink
from aerostat.process_guest.memory import GuestMemoryFile
from aerostat.process_guest.pages import Pages
from aerostat.virtio.features import bit, has

#: A driver of today, which reports free pages, and hints them where it is asked.
TODAY = DriverOptions(features=DEFAULT_FEATURES | bit(PAGE_REPORTING) | bit(FREE_PAGE_HINT))

#: What `uname` would say.
RELEASE = "modelled"

# How often time passes: as a rule, while nothing moves, and while programs wait for the balloon,
# which gives back a request's worth each time.
_TICK, _STILL_TICK, _SHORT_TICK = 0.1, 0.5, 0.01
# A guest that was stopped for longer does not make up for it.
_LONGEST_TICK = 1.0
# How often a guest that waits for its device looks for it.
_RECONNECT_EVERY = 0.1


class GuestOptions(NamedTuple):
    """What a guest is: its device's `socket`, bytes of memory and swap, its driver and its ways.

    `tags` are the statistics that its driver knows of. `scattered` memory is that of a guest that
    has run for years. `workload` is played from the start. One that `reconnects` waits for another
    device where it loses the one it had, and goes on where it was.
    """

    socket: str
    size: int
    name: str = "guest"
    swap_size: int = 0
    driver: DriverOptions = TODAY
    tags: tuple[Tag, ...] = tuple(Tag)
    scattered: bool = False
    seed: int = 0
    workload: Workload | None = None
    reconnects: bool = False


class Guest:
    """A guest on an event loop, which it stops when its console's other end is gone, or its device.

    `error` says why, if it was not asked to end. What it does without a device it does alone: with
    the balloon that it had.
    """

    def __init__(self, loop: Loop, options: GuestOptions, console: socket.socket | None) -> None:
        if options.size <= 0 or options.size % PAGE_SIZE:
            raise UsageError("a guest's size is whole pages of 4096 bytes")
        self.error: AerostatError | None = None
        self._loop = loop
        self._reconnects = options.reconnects
        self._reconnection: Timer | None = None
        self._is_up = False
        self._memory = GuestMemoryFile([(0, options.size)])
        self._pages = Pages(
            self._memory.memory.regions[0].view, scattered=options.scattered, seed=options.seed
        )
        self.kernel = Kernel(self._pages, swap_size=options.swap_size, tags=options.tags)
        if options.workload is not None:
            self.kernel.programs.play(options.workload)
        self._console = Console(loop, console, self._obey, loop.stop) if console else None
        self._now = time.monotonic()
        self._reported = self._now
        self._tick: Timer = loop.call_later(_TICK, self._pass_time)
        self.link = DeviceLink(
            loop, options.socket, self._memory, self.kernel, options.driver,
            on_change=self._link_changed,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of everything."""
        self._tick.cancel()
        if self._reconnection is not None:
            self._reconnection.cancel()
        self.link.close()
        self._pages.release()
        self._memory.close()
        if self._console is not None:
            self._console.close()

    # Time

    def _pass_time(self) -> None:
        self._catch_up()
        if self.kernel.wants_relief:
            self.link.relieve(self.kernel.wants_relief)
        if self._now - self._reported >= REPORT_EVERY:
            self._reported = self._now
            self._report_free_pages()
        tick = _STILL_TICK if self.kernel.still else _TICK
        if self.kernel.wants_relief and self.link.balloon_size:
            tick = _SHORT_TICK
        self._tick = self._loop.call_later(tick, self._pass_time)

    def _catch_up(self) -> None:
        """Let that time pass in the guest that has passed outside."""
        now = time.monotonic()
        passed, self._now = min(now - self._now, _LONGEST_TICK), now
        if passed > 0:
            self.kernel.pass_time(passed)

    def _report_free_pages(self) -> None:
        driver = self.link.driver
        if driver is None or not driver.report_room or self.link.state is not State.RUNNING:
            return
        ranges = self.kernel.report(driver.report_room, driver.poison)
        if ranges and not self.link.report(ranges):
            self.kernel.reported(ranges)

    # The device

    def _link_changed(self, state: State) -> None:
        if state is State.RUNNING:
            driver = self.link.driver
            assert driver is not None
            self.kernel.state.deflate_on_oom[:] = has(driver.features, DEFLATE_ON_OOM)
            self._say_hello()
        elif state is State.LOST:
            error = self.link.error
            if self._reconnects and self._is_up and _may_come_back(error):
                self._reconnection = self._loop.call_later(_RECONNECT_EVERY, self._reconnect)
                return
            self.error = error
            self._loop.stop()

    def _say_hello(self) -> None:
        """Say on the console that the guest is up; once, whatever becomes of its devices."""
        if self._console is not None and not self._is_up:
            self._console.hello({"release": RELEASE})
        self._is_up = True

    def _reconnect(self) -> None:
        self._reconnection = None
        self.link.reconnect()

    # The console

    def _obey(self, request: dict[str, Any]) -> Mapping[str, Any] | None:
        commands: dict[str, Callable[..., Mapping[str, Any] | None]] = {
            "ping": self._ping,
            "counters": self._counters,
            "hold": self._hold,
            "check": self._check,
            "play": self._play,
            "report": self._report,
            "end_worker": self._end_worker,
            "poweroff": self._loop.stop,
        }
        name = request.pop("do", None)
        if name not in commands:
            raise UsageError(f"there is no {name!r}; there are {', '.join(sorted(commands))}")
        self._catch_up()
        return commands[name](**request)

    def _ping(self) -> Mapping[str, Any]:
        return {"release": RELEASE, "link": self.link.state.value, **self.link.counters}

    def _counters(self) -> Mapping[str, Any]:
        return self.kernel.counters()

    # A guest's programs share one model: but for what they hold, it does not matter which of them
    # is asked. Files are modelled, too: none is opened.

    def _hold(self, size: int, worker: str) -> Mapping[str, Any]:
        self.kernel.programs.hold(worker, size)
        self.kernel.pass_time(_TICK)
        return {"held": self.kernel.held}

    def _check(self, **_: object) -> Mapping[str, Any]:
        return {"held": self.kernel.held, "damaged": self.kernel.damaged()}

    def _play(self, workload: Mapping[str, Any], since: float = 0.0, **_: object) -> None:
        self.kernel.programs.play(Workload.from_dict(workload), since)

    def _report(self, **_: object) -> Mapping[str, Any]:
        return {**self.kernel.programs.report(), "held": self.kernel.held}

    def _end_worker(self, name: str) -> None:
        self.kernel.programs.end(name)


def _may_come_back(error: AerostatError | None) -> bool:
    return isinstance(error, LinkError) and error.retryable


def run(options: GuestOptions, console: socket.socket | None) -> AerostatError | None:
    """Run one guest until it ends; return why, if nobody asked for it."""
    loop = Loop()
    guest = Guest(loop, options, console)
    try:
        loop.run()
    finally:
        guest.close()
        loop.close()
    return guest.error
