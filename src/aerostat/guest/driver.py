"""The driver of one life of a device: from its initialisation to an empty balloon.

Brings together the registers (`transport`), the state machine (`balloon.driver`), and the guest's
memory (`pages`, `room`, `procfs`). Reads no clock and waits for nothing: it is told the time, and
says how long may be waited. Implements the driver's side of virtio 1.2, 3.1.1 and 5.5.6. Standard
library only, Python 3.9.

The device's interrupts are not used: memory is given in pieces of a megabyte, so looking at the
rings some times a second, and often while a request is out, costs little and needs no help from
the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aerostat.balloon.abi import DEFLATE_ON_OOM, PAGE_SIZE, Queue
from aerostat.balloon.driver import BalloonDriver
from aerostat.balloon.driver_events import (
    Deflated,
    DeviceBroken,
    Event,
    Inflated,
    StatisticsWanted,
)
from aerostat.balloon.driver_features import DEFAULT_FEATURES, choose_features, queue_numbers
from aerostat.errors import PeerError
from aerostat.guest.transport import (
    DRIVER_OK,
    NEEDS_RESET,
    Transport,
    initialise,
    lay_out_rings,
    start,
)
from aerostat.units import format_size
from aerostat.virtio.driver_rings import driver_ring
from aerostat.virtio.features import has
from aerostat.virtio.memory import GuestMemory

# How long may be waited while the device has a request, from the first look to the last, and
# while it has none; in seconds.
SOON, LATER, IDLE = 0.0005, 0.01, 0.05

# After the guest had nothing to spare; Linux's driver rests as long.
_OUT_OF_MEMORY_REST = 0.2
# After memory was given back under pressure, before any is taken again.
_RELIEF_REST = 10.0
# How often to see whether the device is well.
_LOOK_AT_DEVICE = 1.0

_NUM_PAGES = 0


class Pages(Protocol):
    """Where pages come from; see `guest.pages`."""

    lag: float  # seconds until what went back can be seen to be free

    def take(self, wanted: int, most: int) -> list[int]:
        """Return the frames of at most `most` pages."""

    def moved(self, frames: list[int]) -> int:
        """Return how many pages are no longer where they were."""

    def give_back(self, frames: list[int]) -> None:
        """Take pages back."""


class MemoryRoom(Protocol):
    """How much memory there is; see `guest.room`."""

    def spare(self) -> int:
        """Return the bytes that can be taken now."""

    def shortage(self) -> int:
        """Return the bytes that the guest should get back."""


class Dma(Protocol):
    """Memory that the device reaches; see `guest.dma`."""

    address: int
    size: int
    memory: GuestMemory


class GuestDriver:
    """Drives a device; `collect` returns the statistics, by tag.

    `collect` is called with the balloon's size in bytes, and whether DEFLATE_ON_OOM holds.
    """

    def __init__(
        self,
        transport: Transport,
        dma: Dma,
        pages: Pages,
        room: MemoryRoom,
        collect: Callable[[int, bool], dict[int, int]],
        log: Callable[[str], None],
        *,
        page_size: int = PAGE_SIZE,
    ) -> None:
        self._transport = transport
        self._pages = pages
        self._room = room
        self._collect = collect
        self._log = log
        self._wait = SOON
        self._calm_at = 0.0  # when pages may be taken again
        self._look_at_memory = 0.0
        self._to_relieve = 0  # pages to be given back because memory is short
        self._look_at_device = 0.0
        self._told = True  # whether it was said what came of the last target

        offered, features = initialise(transport, choose)
        self.driver = BalloonDriver(features, byteorder=transport.byteorder, page_size=page_size)
        self.can_relieve = has(features, DEFLATE_ON_OOM)
        self._numbers = queue_numbers(offered, features)
        rings, arena = lay_out_rings(transport, features, self._numbers, dma.address)
        room_left = dma.address + dma.size - arena
        self.driver.attach(
            dma.memory,
            {
                queue: driver_ring(
                    features, dma.memory, size, layout, byteorder=self.driver.byteorder
                )
                for queue, (size, layout) in rings.items()
            },
            arena,
            room_left,
        )
        for queue, (size, layout) in rings.items():
            transport.start_queue(self._numbers[queue], size, layout)
        self.driver.begin(self._statistics())
        start(transport)
        self.driver.ready()
        self._describe(features, {queue: size for queue, (size, _) in rings.items()})

    @property
    def empty(self) -> bool:
        """Whether the balloon has nothing, and nothing is on the way."""
        return not self.driver.held_pages and self.driver.idle(Queue.INFLATE)

    def leave(self) -> None:
        """From now on, give everything back."""
        self.driver.leave()

    def stop(self) -> None:
        """End, after the device was reset: what was in the balloon is the guest's."""
        self._pages.give_back(self.driver.stop())

    def turn(self, now: float) -> float:
        """Do all that is to be done at the time `now`; return the seconds that may be waited.

        Raises `PeerError` when the device is broken, or has been reset by somebody else.
        """
        self._check_device(now)
        happened = [event for queue in self._numbers for event in self.driver.service(queue)]
        for event in happened:
            self._handle(event)
        self._look_at_target()
        self._relieve(now)
        self._converge(now)
        self._flush()
        return self._patience(progress=bool(happened))

    def _handle(self, event: Event) -> None:
        if isinstance(event, StatisticsWanted):
            self.driver.send_statistics(self._statistics())
        elif isinstance(event, Deflated):
            self._pages.give_back(event.pages)
        elif isinstance(event, Inflated):
            moved = self._pages.moved(event.pages)
            if moved:
                self._log(f"the kernel moved {moved} pages of the balloon: locking does not hold")
        elif isinstance(event, DeviceBroken):
            raise PeerError(f"the device broke its {event.queue.name} queue: {event.problem}")

    def _statistics(self) -> dict[int, int]:
        return self._collect(self.driver.balloon_size, self.can_relieve)

    def _check_device(self, now: float) -> None:
        if now < self._look_at_device:
            return
        self._look_at_device = now + _LOOK_AT_DEVICE
        status = self._transport.status()
        # All ones is what a device answers that is no longer there.
        if status & NEEDS_RESET:
            raise PeerError(f"the device cannot go on (status {status:#x})")
        if not status & DRIVER_OK:
            raise PeerError("somebody else has reset the device")

    def _look_at_target(self) -> None:
        num_pages = self._transport.read_config(_NUM_PAGES)
        if num_pages != self.driver.num_pages:
            self.driver.config_changed(num_pages)
            self._calm_at = 0.0
            self._told = False
            self._log(f"the host asks for {format_size(num_pages * PAGE_SIZE)}")

    def _relieve(self, now: float) -> None:
        """Give memory back that the guest needs, where that is allowed (5.5.6.1)."""
        if not self.can_relieve or not self.driver.held_pages:
            self._to_relieve = 0
            return
        if not self._to_relieve and now >= self._look_at_memory:
            shortage = self._room.shortage()
            if shortage:
                self._to_relieve = -(-shortage // self.driver.page_size)
                self._log(f"memory is short: giving back {format_size(shortage)}")
        if self._to_relieve and self.driver.idle(Queue.DEFLATE):
            self._to_relieve -= len(self.driver.relieve(self._to_relieve))
            self._calm_at = now + _RELIEF_REST
            # What is on its way back must not be missed, and given, a second time.
            self._look_at_memory = now + self._pages.lag

    def _converge(self, now: float) -> None:
        if self._calm_at and now >= self._calm_at:
            self._calm_at = 0.0
            self.driver.config_changed(self.driver.num_pages)  # ends the rest after a relief
        wanted = self.driver.wanted
        if wanted < 0:
            self.driver.deflate(-wanted)
        elif wanted > 0 and not self._calm_at:
            self._inflate(wanted, now)
        elif self.driver.idle(Queue.INFLATE) and self.driver.idle(Queue.DEFLATE):
            self._tell("the balloon is")

    def _inflate(self, wanted: int, now: float) -> None:
        spare = self._room.spare() // self.driver.page_size
        most = min(spare, self.driver.pages_per_request)
        frames = self._pages.take(wanted, most) if most else []
        if frames:
            self.driver.inflate(frames)
            return
        self._calm_at = now + _OUT_OF_MEMORY_REST
        self._tell("the guest can spare no more; the balloon is")

    def _tell(self, words: str) -> None:
        """Say, once for each target, how large the balloon has become."""
        if not self._told:
            self._told = True
            self._log(f"{words} {format_size(self.driver.balloon_size)}")

    def _flush(self) -> None:
        for offset, data in self.driver.take_config_writes():
            self._transport.write_config(offset, int.from_bytes(data, "little"))
        for queue in self.driver.take_notifications():
            self._transport.notify(self._numbers[queue])

    def _patience(self, *, progress: bool) -> float:
        busy = not (self.driver.idle(Queue.INFLATE) and self.driver.idle(Queue.DEFLATE))
        if not busy:
            self._wait = SOON
            return IDLE
        self._wait = SOON if progress else min(2 * self._wait, LATER)
        return self._wait

    def _describe(self, features: int, sizes: dict[Queue, int]) -> None:
        queues = ", ".join(f"{queue.name.lower()} {size}" for queue, size in sizes.items())
        self._log(f"{self._transport} interface, features {features:#x}, queues: {queues}")


def choose(offered: int) -> int:
    """Return the features to take: a program knows no free pages to report, and poisons none."""
    return choose_features(offered, DEFAULT_FEATURES)
