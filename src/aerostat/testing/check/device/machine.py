"""What a check plays on: a guest whose memory, configuration space and queues are in our hands.

Touches guest memory and a transport. Nothing here knows how the device is reached: over a socket,
a transport speaks vhost-user; inside a guest, another speaks PCI.

The guest has two regions of memory with a hole between them. In the first are the rings, from
`RINGS_AT` on, and scratch memory for bad input; what else there is belongs to the pages that checks
give away. Nothing is at address 0, but that is memory.
"""

import struct
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from aerostat.balloon.abi import PAGE_SIZE, Queue, QueueRule, queue_maps
from aerostat.errors import PeerError, UsageError
from aerostat.testing.check.checks import Unobservable
from aerostat.testing.check.deadline import Deadline
from aerostat.testing.check.device.lane import Lane, Notifier
from aerostat.testing.check.features import FEATURES
from aerostat.testing.closing import Closing
from aerostat.testing.conformance.bad_ground import SCRATCH
from aerostat.testing.mocks.driver import DriverRing
from aerostat.testing.mocks.packed_ring import DriverPackedRing
from aerostat.units import MIB
from aerostat.virtio.features import RING_PACKED, has
from aerostat.virtio.memory import Byteorder, GuestMemory
from aerostat.virtio.ring import DriverSide

#: The least memory that a guest of these checks may have, in bytes.
MIN_MEMORY = 32 * MIB
RINGS_AT = MIB
SCRATCH_AT = 4 * MIB
FIRST_PAGE = (SCRATCH_AT + SCRATCH + MIB) // PAGE_SIZE
RING_SIZE = 64


def spans(size: int) -> list[tuple[int, int]]:
    """Return the regions, (address, size), of a guest of `size` bytes. Raises `UsageError`."""
    if size < MIN_MEMORY or size % (2 * PAGE_SIZE):
        raise UsageError(f"a guest of these checks has {MIN_MEMORY // MIB} MiB at least")
    half = size // 2
    return [(0, half), (2 * half, half)]


class Transport(Notifier, Protocol):
    """How the device is reached. All of it raises `LinkError` for a device that does not answer."""

    @property
    def offered(self) -> int:
        """The features that the device offers, without what belongs to the transport."""
        ...

    @property
    def memory(self) -> GuestMemory:
        """The guest's memory."""
        ...

    is_legacy: bool
    """Whether the device is reached by a legacy interface."""
    begins_anywhere: bool
    """Whether the device is told at which indices a ring begins; else they begin at 0."""
    ring_align: int
    """What a split ring's used area is aligned to, in bytes."""

    def ring_size(self, index: int, wanted: int) -> int:
        """Return the size that queue `index` may have, `wanted` if it can be chosen."""
        ...

    def choose(self, features: int) -> None:
        """Tell the device the driver's features. Raises `PeerError` if it refuses them."""
        ...

    def describe(
        self,
        index: int,
        ring: DriverSide,
        base: int | None = None,
        *,
        byteorder: Byteorder = "little",
    ) -> None:
        """Tell the device where queue `index` has its ring, to begin at `base` or at its own."""
        ...

    def run(self, indices: Collection[int]) -> None:
        """Let these queues, which have been described, run: DRIVER_OK."""
        ...

    def reset(self) -> None:
        """Reset the device, as a driver does that begins anew."""
        ...

    def read_config(self, offset: int, size: int) -> bytes:
        """Return bytes of the configuration space. Raises `PeerError` where there are none."""
        ...

    def write_config(self, offset: int, data: bytes) -> None:
        """Write bytes of the configuration space. Raises `PeerError` where that is refused."""
        ...

    def settle(self) -> None:
        """Let the device do what it would do soon anyway."""
        ...

    def status(self) -> int:
        """Return the device status. Raises `Unobservable` where it cannot be read."""
        ...

    def needs_reset(self) -> bool:
        """Return whether the device says that it must be reset."""
        ...

    def announces(self, seconds: float) -> bool:
        """Return whether the device announces, within `seconds`, that its configuration changed.

        Raises `Unobservable` where it cannot.
        """
        ...

    def is_hole(self, address: int) -> bool:
        """Return whether the host has the page at `address`. Raises `Unobservable`."""
        ...

    def close(self) -> None:
        """Let go of the device and of the memory."""
        ...


class Machine(Closing):
    """A guest on a `transport`; a driver `start` has its queues run.

    Nothing waits longer than `patience` seconds, nor beyond the `deadline`. What must not happen
    is watched for during `hush` seconds. `wanted` is what a driver takes of what is offered. Rings
    begin at `rings_at`, and are packed ones where a driver takes RING_PACKED.
    """

    scratch_at = SCRATCH_AT
    """Where the scratch memory begins."""
    beyond = 0
    """An address that is no memory of anybody's; 0: all that is beyond our regions."""

    def __init__(
        self,
        transport: Transport,
        deadline: Deadline,
        *,
        patience: float,
        hush: float,
        wanted: int = -1,
        rule: QueueRule = "dense-offered",
        rings_at: int = RINGS_AT,
    ) -> None:
        self.transport = transport
        self.deadline = deadline
        self.patience = patience
        self.hush = hush
        self.rule: QueueRule = rule
        self.rings_at = rings_at
        self.offered = transport.offered & wanted
        self.features = 0
        self.byteorder: Byteorder = "little"
        self.lanes: dict[Queue, Lane] = {}

    def close(self) -> None:
        """Let go of everything."""
        self._drop_lanes()
        self.transport.close()

    @property
    def memory(self) -> GuestMemory:
        """The guest's memory."""
        return self.transport.memory

    # ---- a driver's life

    def start(
        self,
        features: int | None = None,
        *,
        size: int = RING_SIZE,
        first: int = 0,
        byteorder: Byteorder = "little",
        run: bool = True,
    ) -> None:
        """Begin as a driver that takes `features` (None: all), on rings of `size` that are new.

        Their indices begin at `first`. With `run` false all is set up, and DRIVER_OK is still to
        come. A driver that was there before resets the device first. Raises `PeerError` where the
        device refuses the features, `Unobservable` where indices cannot begin elsewhere than at 0.
        """
        if first and not self.transport.begins_anywhere:
            raise Unobservable("here, a ring's indices begin at 0")
        if self.lanes:
            self.reset()
        self._drop_lanes()
        self.features = self.offered if features is None else features
        self.byteorder = byteorder
        self.transport.choose(self.features)
        place = self.rings_at
        for index, queue in sorted(self.numbers().items()):
            fitting = self.transport.ring_size(index, size)
            lane = self.lanes[queue] = self._lane(queue, index, fitting, place, first)
            place = lane.end
            self.transport.describe(index, lane.ring, byteorder=byteorder)
        if run:
            self.run()

    def numbers(self) -> Mapping[int, Queue]:
        """Return which queue each index is, with these features."""
        return queue_maps(self.transport.offered, self.features)[self.rule]

    def run(self) -> None:
        """Say DRIVER_OK."""
        self.transport.run([lane.index for lane in self.lanes.values()])

    def reset(self) -> None:
        """Reset the device; its queues are gone, and their rings lie there as they were."""
        self.transport.reset()

    def _lane(self, queue: Queue, index: int, size: int, place: int, first: int) -> Lane:
        ring: DriverSide
        if has(self.features, RING_PACKED):
            # In the first round: bases of the second one look like those of who knows no rounds.
            ring = DriverPackedRing(self.memory, size, place, first % size)
        else:
            align = self.transport.ring_align
            ring = DriverRing(
                self.memory, size, place, first, byteorder=self.byteorder, align=align
            )
        buffers = -(-ring.layout.end // PAGE_SIZE) * PAGE_SIZE
        return Lane(queue, index, ring, buffers, self.transport, self.deadline, self.patience)

    def _drop_lanes(self) -> None:
        for lane in self.lanes.values():
            lane.ring.release()
        self.lanes = {}

    def has(self, name: str) -> bool:
        """Return whether the device offers a feature that the check may take."""
        return bool(self.offered >> FEATURES[name] & 1)

    def without(self, *names: str) -> int:
        """Return all that is offered but these features."""
        return self.offered & ~sum(1 << FEATURES[name] for name in names)

    # ---- pages and requests

    def pfns(self, *numbers: int) -> bytes:
        """Return the request that names these pages."""
        order = "<" if self.byteorder == "little" else ">"
        return struct.pack(f"{order}{len(numbers)}I", *numbers)

    @property
    def pages(self) -> list[Sequence[int]]:
        """The numbers of the pages that checks may give away, lower ones and higher ones."""
        low, high = self.memory.regions
        return [
            range(FIRST_PAGE, low.size // PAGE_SIZE),
            range(high.guest_address // PAGE_SIZE, (high.guest_address + high.size) // PAGE_SIZE),
        ]

    def inflate(self, *numbers: int) -> None:
        """Give these pages to the balloon, and wait until the device has acknowledged it."""
        self.lanes[Queue.INFLATE].request(self.pfns(*numbers))

    def deflate(self, *numbers: int) -> None:
        """Take these pages back, and wait until the device has acknowledged it."""
        self.lanes[Queue.DEFLATE].request(self.pfns(*numbers))

    def word(self, offset: int) -> int:
        """Return a 32-bit field of the configuration space."""
        return int.from_bytes(self.transport.read_config(offset, 4), "little")

    def try_start(self, features: int) -> bool:
        """Start with `features`; return false where the device refuses them."""
        try:
            self.start(features)
        except PeerError:
            return False
        return True

    def must_run(self, queue: Queue) -> Lane:
        """Return a queue's lane. Raises `Unobservable` if its feature was not taken."""
        if queue not in self.lanes:
            raise Unobservable(f"there is no {queue.name} queue")
        return self.lanes[queue]
