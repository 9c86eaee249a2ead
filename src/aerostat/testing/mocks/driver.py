"""A driver for testing balloon devices: it sends whatever a test wants sent, right or wrong.

Works on any `GuestMemory`: a test's own (`make_memory`), or one that is shared with a device in
another process. `DriverRing` is `aerostat.virtio.driver_ring`'s, and can also write rings that no
driver should. `BalloonDriver` puts payloads on the queues of virtio 1.2, 5.5.6, and keeps no rule
of theirs; the driver that does is `aerostat.balloon.driver`'s. Neither waits nor notifies: the
test does what its transport needs.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from mmap import mmap
from random import Random

from aerostat.balloon.abi import Queue
from aerostat.balloon.statistics import encode
from aerostat.errors import UsageError
from aerostat.virtio import driver_ring
from aerostat.virtio.chain import DESCRIPTOR_SIZE
from aerostat.virtio.driver_ring import lay_out
from aerostat.virtio.memory import Byteorder, GuestMemory, Region

Used = driver_ring.Used

#: Where `make_memory` pretends that the front-end has mapped guest address 0.
USER_BASE = 0x7F00_0000_0000

# What `scribble` draws lengths from: sizes that mean something, and their neighbours.
_LENGTHS = (0, 1, 4, 9, 10, 16, 32, 160, 1024, 1025, 4096, 1 << 16, (1 << 32) - 16, (1 << 32) - 1)


def make_memory(*spans: tuple[int, int]) -> GuestMemory:
    """Return guest memory of this process's own, zeroed; a region for each (address, size)."""
    return GuestMemory(
        Region(address, size, USER_BASE + address, memoryview(mmap(-1, size)))
        for address, size in spans
    )


class DriverRing(driver_ring.DriverRing):
    """A driver's ring of `size`, laid out from `address` (16-aligned) on, that can misbehave.

    `index` is where both its indices begin, for tests of their wrapping. `end` is the address
    after the ring. Release it before the memory.
    """

    def __init__(
        self,
        memory: GuestMemory,
        size: int,
        address: int,
        index: int = 0,
        *,
        byteorder: Byteorder = "little",
        align: int = 4,
    ) -> None:
        layout = lay_out(address, size, align)
        super().__init__(memory, size, layout, byteorder=byteorder, start=index)
        self.desc, self.avail, self.used, self.end = layout
        self.avail_words = self._avail
        self.used_words = self._used

    def _check(self, buffers: list[tuple[int, int, int]]) -> None:
        """Let chains of any length pass."""
        if not buffers:
            raise UsageError("a chain of nothing")

    def offer(self, head: int) -> None:
        """Put `head` into the avail ring, whatever it is, and advance the index."""
        self._offer(head)

    def write_descriptor(
        self, index: int, address: int, length: int, flags: int = 0, following: int = 0
    ) -> None:
        """Overwrite one descriptor of the table."""
        descriptor = self._descriptor.pack(address, length, flags, following)
        self.memory.write(self.desc + index * DESCRIPTOR_SIZE, descriptor)

    def scribble(self, source: Random, reach: int) -> None:
        """Fill the ring with nonsense that is hard to tell from sense.

        Addresses are below `reach`, links and heads at most one too high, and the avail index
        is at most one too far ahead: so that devices get beyond their first check.
        """
        for index in range(self.size):
            address, length = source.randrange(reach), source.choice(_LENGTHS)
            following = source.randrange(self.size + 1)
            self.write_descriptor(index, address, length, source.randrange(8), following)
            self.avail_words.store(2 + index, source.randrange(self.size + source.randrange(2)))
        ahead = source.randrange(self.size + 2)
        self._set_index(self.used_words.load(1) + ahead)

    def jump(self, distance: int) -> None:
        """Move the avail index by `distance` without offering anything."""
        self._set_index(self.avail_words.load(1) + distance)

    def _set_index(self, index: int) -> None:
        self._next_avail = index & 0xFFFF
        self.avail_words.publish(1, self._next_avail)


class BalloonDriver:
    """The hand of a balloon driver, with a ring for each of `queues`, from `address` on.

    Each ring of `size` has as many buffers of `buffer_size` bytes behind it; `end` is the
    address after all of it. Release it before the memory.
    """

    def __init__(
        self,
        memory: GuestMemory,
        address: int,
        *,
        queues: Collection[Queue] = (Queue.INFLATE, Queue.DEFLATE, Queue.STATS),
        size: int = 8,
        buffer_size: int = 4096,
        byteorder: Byteorder = "little",
    ) -> None:
        self.memory = memory
        self.byteorder: Byteorder = byteorder
        self.buffer_size = buffer_size
        self.rings: dict[Queue, DriverRing] = {}
        self._buffers: dict[Queue, int] = {}
        for queue in queues:
            ring = self.rings[queue] = DriverRing(memory, size, address, byteorder=byteorder)
            self._buffers[queue] = -(-ring.end // 16) * 16
            address = self._buffers[queue] + size * buffer_size
        self.end = address

    def release(self) -> None:
        """Let go of the memory."""
        for ring in self.rings.values():
            ring.release()

    def inflate(self, pfns: Sequence[int], pieces: Iterable[int] = ()) -> int:
        """Give the pages with these numbers to the balloon; return the request's head."""
        return self.send(Queue.INFLATE, self._pack(pfns), pieces)

    def deflate(self, pfns: Sequence[int], pieces: Iterable[int] = ()) -> int:
        """Ask for these pages back; return the request's head."""
        return self.send(Queue.DEFLATE, self._pack(pfns), pieces)

    def send_statistics(self, statistics: Mapping[int, int], pieces: Iterable[int] = ()) -> int:
        """Make a statistics buffer available; return its head."""
        return self.send(Queue.STATS, encode(statistics, self.byteorder), pieces)

    def report(self, ranges: Iterable[tuple[int, int]]) -> int:
        """Report these (address, length) as free; return the report's head."""
        return self.rings[Queue.REPORTING].add([], ranges)

    def send(self, queue: Queue, payload: bytes, pieces: Iterable[int] = ()) -> int:
        """Make `payload` available; return the head.

        `pieces` are the lengths of the descriptors that it is split over, the last one takes
        what remains. Raises `UsageError` if it does not fit a buffer, or none is free.
        """
        if len(payload) > self.buffer_size:
            raise UsageError(f"{len(payload)} bytes, but buffers of {self.buffer_size}")
        ring = self.rings[queue]
        address = self._buffers[queue] + ring.next_head * self.buffer_size
        self.memory.write(address, payload)
        readable, rest = [], len(payload)
        for piece in pieces:
            length = min(piece, rest)
            readable.append((address, length))
            address, rest = address + length, rest - length
        return ring.add([*readable, (address, rest)])

    def collect(self, queue: Queue) -> list[Used]:
        """Return the chains of `queue` that the device gave back."""
        return self.rings[queue].collect()

    def _pack(self, pfns: Sequence[int]) -> bytes:
        return b"".join(pfn.to_bytes(4, self.byteorder) for pfn in pfns)
