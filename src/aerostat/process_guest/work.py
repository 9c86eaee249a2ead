"""A balloon driver at work: what it says is done, what it needs is asked of the guest's kernel.

What the balloon's work queue is in Linux: virtio 1.2, 5.5.6, around `aerostat.balloon.driver`.
Touches guest memory and notifications through `rings`, and a timer. Standard library only.
"""

from collections.abc import Callable, Mapping, Sequence

from aerostat.balloon.abi import PAGE_POISON
from aerostat.balloon.driver import BalloonDriver
from aerostat.balloon.driver_events import (
    Deflated,
    DeviceBroken,
    Event,
    Hinted,
    Inflated,
    Reported,
    StatisticsWanted,
)
from aerostat.balloon.driver_features import choose_features, queue_numbers
from aerostat.balloon.driver_phase import Phase
from aerostat.device.loop import READ, Loop, Timer
from aerostat.process_guest.interface import RESERVED_SIZE, DriverOptions, Kernel
from aerostat.process_guest.memory import GuestMemoryFile
from aerostat.process_guest.rings import GuestRings
from aerostat.vhost_user.frontend import RingPlan
from aerostat.virtio.features import has

# How long a driver waits before it asks a kernel again that had no page to give; as Linux's.
_OUT_OF_PAGES_SECONDS = 0.2

#: What is counted here, over all drivers of a guest.
COUNTERS = (
    "statistics",  # statistics sent, the first ones included
    "out_of_pages",  # times that the kernel had nothing to give
)


class BalloonWork:
    """One driver, from its start to the reset of its device, on rings in the guest's memory.

    `on_config_writes` is called when the driver may have something to write to the configuration
    space, `on_broken` with the words for a device that breaks a ring. Made, it has posted what
    comes before DRIVER_OK; `plans` says what the device must know of its rings, `run` sets it to
    work.
    """

    def __init__(
        self,
        loop: Loop,
        memory: GuestMemoryFile,
        kernel: Kernel,
        options: DriverOptions,
        *,
        offered: int,
        counters: dict[str, int],
        on_config_writes: Callable[[], None],
        on_broken: Callable[[str], None],
    ) -> None:
        features = choose_features(
            offered, options.features, relies_on_zeroed=options.relies_on_zeroed
        )
        self.driver = BalloonDriver(
            features, byteorder=options.byteorder, statistics_first=options.statistics_first
        )
        start = memory.memory.regions[0].guest_address
        self.rings = GuestRings(
            memory,
            queue_numbers(offered, features, options.numbering),
            features=features,
            address=start,
            size=options.queue_size,
            byteorder=self.driver.byteorder,  # a modern driver's is always little-endian
        )
        self._loop = loop
        self._kernel = kernel
        self._counters = counters
        self._on_config_writes = on_config_writes
        self._on_broken = on_broken
        self._running = False
        self._retry: Timer | None = None
        room = start + RESERVED_SIZE - self.rings.end
        self.driver.attach(memory.memory, self.rings.rings, self.rings.end, room)
        self.driver.begin(
            kernel.statistics(), options.poison if has(features, PAGE_POISON) else None
        )

    # ---- coming and going

    def plans(self, bases: Mapping[int, int] | None) -> list[RingPlan]:
        """Return what the device is to be told of the rings; see `GuestRings.plans`."""
        return self.rings.plans(bases)

    def run(self) -> None:
        """Go to work, for the first time or again: the device runs the rings."""
        assert self.rings.call is not None
        self._loop.watch(self.rings.call, READ, self._called)
        self._running = True
        if self.driver.phase is Phase.BEGUN:
            self.driver.ready()
            self._counters["statistics"] += 1
        self.look()  # what came back before there was somebody to look

    def rest(self) -> None:
        """Leave the rings alone until `run`; what the driver has, it keeps."""
        self._running = False
        if self.rings.call is not None:
            self._loop.unwatch(self.rings.call)
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def end(self) -> None:
        """End after a reset of the device: what is in the balloon is the guest's again."""
        self.close()
        self._kernel.give_back(self.driver.stop())
        self._kernel.hints_done()

    def close(self) -> None:
        """Let go of the guest's memory, of which nothing is given back."""
        self.rest()
        self.rings.release()

    # ---- at work

    def look(self) -> None:
        """See what has come back, give or take pages, and tell the device."""
        for queue in self.rings.numbers:
            for event in self.driver.service(queue):
                self._handle(event)
            if not self._running:  # the device broke a ring
                return
        self._balance()
        self._hint()
        self._tell_device()

    def config_changed(self, num_pages: int, hint_cmd_id: int) -> None:
        """Take the device's wishes: the balloon's size in pages of 4096 bytes, a hinting round."""
        self.driver.config_changed(num_pages, hint_cmd_id)
        if self._running:
            self.look()

    def relieve(self, count: int) -> None:
        """Take up to `count` pages from the balloon for want of memory."""
        if self._running:
            self.driver.relieve(count)
            self._tell_device()

    def report(self, ranges: Sequence[tuple[int, int]]) -> bool:
        """Tell the device of free ranges; false: not now."""
        reported = self._running and self.driver.report(ranges)
        if reported:
            self._tell_device()
        return reported

    def _called(self) -> None:
        self.rings.drain_call()
        self.look()

    def _handle(self, event: Event) -> None:
        match event:
            case StatisticsWanted():
                self.driver.send_statistics(self._kernel.statistics())
                self._counters["statistics"] += 1
            case Deflated(pages):
                self._kernel.give_back(pages)
            case Reported(ranges):
                self._kernel.reported(ranges)
            case DeviceBroken(queue, problem):
                self.rest()
                self._on_broken(f"{queue.name} queue: {problem}")
            case Inflated() | Hinted():
                pass  # the driver keeps the account

    def _balance(self) -> None:
        """Bring the balloon one request nearer to its target (5.5.6.2)."""
        wanted = self.driver.wanted
        if wanted < 0:
            self.driver.deflate(-wanted)
        elif wanted > 0 and self._retry is None:
            pages = self._kernel.take_pages(min(wanted, self.driver.pages_per_request))
            if pages:
                self.driver.inflate(pages)
            else:
                self._counters["out_of_pages"] += 1
                self._retry = self._loop.call_later(_OUT_OF_PAGES_SECONDS, self._try_again)

    def _hint(self) -> None:
        """Tell what is free, as far as the device asks for it and one request goes (5.5.6.5)."""
        hints = self.driver.hints
        if hints is None:
            return
        if hints.wanted:
            hints.send(self._kernel.hint(hints.room))
        if hints.released:
            self._kernel.hints_done()

    def _try_again(self) -> None:
        self._retry = None
        if self._running:
            self.look()

    def _tell_device(self) -> None:
        for queue in self.driver.take_notifications():
            self.rings.kick(queue)
        self._on_config_writes()
