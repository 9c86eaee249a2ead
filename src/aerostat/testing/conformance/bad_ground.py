"""Where bad requests are played, what one is, and what has to be served after it.

Touches guest memory and a driver's split ring (virtio 1.2, 2.7). The requests are `bad_requests`.
"""

import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.statistics import encode
from aerostat.testing.mocks.driver import DriverRing, Used
from aerostat.virtio.chain import WRITE
from aerostat.virtio.memory import GuestMemory
from aerostat.virtio.ring import Buffer

#: A ring for these cases has at least so many descriptors.
RING_SIZE = 64
#: The bytes that a case may use from `Ground.scratch` on: whole pages, in one region.
SCRATCH = 1 << 20


class Ground(NamedTuple):
    """Where a case is played: a ring that runs, and memory at `scratch` that nobody uses.

    The guest has memory at address 0, and a hole after its first region; or it has much that is
    not ours, and `beyond` is an address that is nobody's.
    """

    ring: DriverRing
    memory: GuestMemory
    scratch: int
    beyond: int = 0

    @property
    def hole(self) -> int:
        """The first address after the first region, or one that is `beyond`."""
        if self.beyond:
            return self.beyond
        first = self.memory.regions[0]
        return first.guest_address + first.size

    @property
    def end(self) -> int:
        """The first address after the last region, or one that is `beyond`."""
        if self.beyond:
            return self.beyond
        last = self.memory.regions[-1]
        return last.guest_address + last.size

    @property
    def page(self) -> int:
        """The number of a page that nobody uses."""
        return (self.scratch + SCRATCH) // PAGE_SIZE - 1

    def put(self, payload: bytes, at: int = 0) -> Buffer:
        """Write a payload into the scratch memory; return where it is."""
        self.memory.write(self.scratch + at, payload)
        return self.scratch + at, len(payload)

    def send(self, payload: bytes, cuts: Iterable[int] = ()) -> None:
        """Make a payload available in descriptors of these lengths and one for the rest."""
        address, rest = self.put(payload)
        buffers = []
        for length in cuts:
            buffers.append((address, length))
            address, rest = address + length, rest - length
        self.ring.add([*buffers, (address, rest)])


class Case(NamedTuple):
    """A bad request, or a good one that is rare.

    `chains` is how many come back, `taken` the numbers of the pages that the device may take.
    Where a ring `may_break`, a device may instead leave it alone until it is started afresh.
    """

    name: str
    queue: Queue
    play: Callable[[Ground], object]
    chains: int = 1
    taken: Callable[[Ground], Iterable[int]] = lambda _: ()
    may_break: bool = False


def used_index(ring: DriverRing) -> int:
    """Return the used index, to give to `returned`."""
    return ring.used_words.acquire(1)


def returned(ring: DriverRing, since: int) -> list[Used]:
    """Return what the device has given back since an index, known or not."""
    found = []
    for index in range(since, since + (used_index(ring) - since & 0xFFFF)):
        element = ring.memory.read(ring.used + 4 + index % ring.size * 8, 8)
        found.append(Used(*struct.unpack("<II", element)))
    return found


#: What `play_good` sends as statistics.
GOOD_STATISTICS = {4: 77}

# STOP is always good.
_GOOD_PAYLOADS = {Queue.STATS: encode(GOOD_STATISTICS), Queue.HINT: bytes(4)}

#: The descriptors of good requests, and of bad ones that are no chain: those that `add` takes last.
GOOD, BAD = 5, 32


def play_good(ground: Ground, queue: Queue) -> None:
    """Send a good request, whatever was played before: of `Ground.page`, or of no page.

    No case leaves its descriptor with the device.
    """
    if queue is Queue.REPORTING:
        address, length, flags = ground.page * PAGE_SIZE, PAGE_SIZE, WRITE
    else:
        payload = _GOOD_PAYLOADS.get(queue) or pfns(ground.page)
        (address, length), flags = ground.put(payload), 0
    ground.ring.write_descriptor(GOOD, address, length, flags)
    ground.ring.offer(GOOD)


def pfns(*numbers: int) -> bytes:
    """Return the request that names these pages."""
    return struct.pack(f"<{len(numbers)}I", *numbers)
