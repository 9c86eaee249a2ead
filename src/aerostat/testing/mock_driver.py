"""A driver for testing balloon devices: it lays out split rings and acts as the guest does.

Works on any `GuestMemory`: a test's own (`make_memory`), or one that is shared with a device in
another process. `DriverRing` is the driver's side of virtio 1.2, 2.7, and can also write rings
that no driver should; `BalloonDriver` is the driver's side of 5.5.6. Neither waits nor notifies:
the test does what its transport needs.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from mmap import mmap
from random import Random
from struct import Struct
from typing import NamedTuple

from aerostat.balloon.abi import Queue
from aerostat.balloon.statistics import Byteorder, encode
from aerostat.errors import PeerError, UsageError
from aerostat.virtio.chain import DESCRIPTOR, INDIRECT, NEXT, WRITE
from aerostat.virtio.memory import GuestMemory, Region
from aerostat.virtio.split_ring import areas

_USED_ELEMENT = Struct("<II")

#: Where `make_memory` pretends that the front-end has mapped guest address 0.
USER_BASE = 0x7F00_0000_0000

Buffer = tuple[int, int]  # address, length

# What `scribble` draws lengths from: sizes that mean something, and their neighbours.
_LENGTHS = (0, 1, 4, 9, 10, 16, 32, 160, 1024, 1025, 4096, 1 << 16, (1 << 32) - 16, (1 << 32) - 1)


def make_memory(*spans: tuple[int, int]) -> GuestMemory:
    """Return guest memory of this process's own, zeroed; a region for each (address, size)."""
    return GuestMemory(
        Region(address, size, USER_BASE + address, memoryview(mmap(-1, size)))
        for address, size in spans
    )


class Used(NamedTuple):
    """A chain that the device gave back, and the bytes that it says it wrote."""

    head: int
    written: int


class DriverRing:
    """The driver's side of a split ring of `size`, laid out from `address` (16-aligned) on.

    `index` is where both its indices begin, for tests of their wrapping. `end` is the address
    after the ring. Release it before the memory.
    """

    def __init__(self, memory: GuestMemory, size: int, address: int, index: int = 0) -> None:
        self.memory = memory
        self.size = size
        desc_size, avail_size, used_size = areas(size)
        self.desc = address
        self.avail = self.desc + desc_size
        self.used = -(-(self.avail + avail_size) // 4) * 4
        self.end = self.used + used_size
        memory.write(address, bytes(self.end - address))
        self.avail_words = memory.words16(self.avail, avail_size // 2)
        self.used_words = memory.words16(self.used, used_size // 2)
        self.avail_words.store(1, index)
        self.used_words.store(1, index)
        self._collected = index
        self._free = list(range(size))
        self._chains: dict[int, list[int]] = {}

    def release(self) -> None:
        """Let go of the memory."""
        self.avail_words.release()
        self.used_words.release()

    # As a driver should

    @property
    def next_head(self) -> int:
        """The head of the chain that `add` makes next."""
        if not self._free:
            raise UsageError(f"all {self.size} descriptors are in use")
        return self._free[0]

    def add(
        self, readable: Iterable[Buffer], writable: Iterable[Buffer] = (), *, table: int = 0
    ) -> int:
        """Make a chain of these buffers available; return its head.

        With `table`, an address, the buffers are described by an indirect table there.
        """
        buffers = [(*buffer, 0) for buffer in readable] + [(*buffer, WRITE) for buffer in writable]
        if table:
            self._describe(table, buffers, list(range(len(buffers))))
            buffers = [(table, len(buffers) * DESCRIPTOR.size, INDIRECT)]
        if not 0 < len(buffers) <= len(self._free):
            raise UsageError(f"{len(buffers)} buffers, but {len(self._free)} free descriptors")
        indices, self._free = self._free[: len(buffers)], self._free[len(buffers) :]
        self._describe(self.desc, buffers, indices)
        self._chains[indices[0]] = indices
        self.offer(indices[0])
        return indices[0]

    def _describe(
        self, table: int, buffers: Sequence[tuple[int, int, int]], indices: list[int]
    ) -> None:
        links = [*indices[1:], None]
        for (address, length, flags), index, link in zip(buffers, indices, links, strict=True):
            chained = flags if link is None else flags | NEXT
            descriptor = DESCRIPTOR.pack(address, length, chained, link or 0)
            self.memory.write(table + index * DESCRIPTOR.size, descriptor)

    def collect(self) -> list[Used]:
        """Return the chains that came back, in their order.

        Raises `PeerError` if the device gave back what it did not have.
        """
        collected = []
        while self._collected != self.used_words.acquire(1):
            slot = self._collected % self.size
            element = self.memory.read(self.used + 4 + slot * _USED_ELEMENT.size, 8)
            used = Used(*_USED_ELEMENT.unpack(element))
            if used.head not in self._chains:
                raise PeerError(f"the device used {used.head}, which it does not have")
            self._free += self._chains.pop(used.head)
            self._collected = (self._collected + 1) & 0xFFFF
            collected.append(used)
        return collected

    # As it should not

    def offer(self, head: int) -> None:
        """Put `head` into the avail ring, whatever it is, and advance the index."""
        index = self.avail_words.load(1)
        self.avail_words.store(2 + index % self.size, head)
        self.avail_words.publish(1, (index + 1) & 0xFFFF)

    def write_descriptor(
        self, index: int, address: int, length: int, flags: int = 0, following: int = 0
    ) -> None:
        """Overwrite one descriptor of the table."""
        descriptor = DESCRIPTOR.pack(address, length, flags, following)
        self.memory.write(self.desc + index * DESCRIPTOR.size, descriptor)

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
        self.avail_words.publish(1, (self.used_words.load(1) + ahead) & 0xFFFF)

    def jump(self, distance: int) -> None:
        """Move the avail index by `distance` without offering anything."""
        self.avail_words.publish(1, (self.avail_words.load(1) + distance) & 0xFFFF)


class BalloonDriver:
    """The guest's balloon driver, with a ring for each of `queues`, from `address` on.

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
            ring = self.rings[queue] = DriverRing(memory, size, address)
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
