"""One queue of a balloon driver: its ring, its buffer, and the one request that it has out.

Touches guest memory: its buffer, and its ring through `DriverSide`. Runs inside guests. A driver
has one request at a time on each queue, as Linux's has: 256 pages a request are enough, and on
the statistics queue more are forbidden (virtio 1.2, 5.5.6.3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from aerostat.balloon.abi import Queue
from aerostat.balloon.driver_features import queues_of
from aerostat.balloon.driver_pages import PFN_SIZE
from aerostat.balloon.statistics import ENTRY_SIZE
from aerostat.virtio.chain import DESCRIPTOR_SIZE
from aerostat.virtio.features import RING_INDIRECT_DESC, has
from aerostat.virtio.memory import GuestMemory
from aerostat.virtio.ring import BrokenRing, DriverSide

#: Ranges in one report of free pages, as many as Linux sends, or in one hint.
MAX_REPORT = 32

COMMAND_ID_SIZE = 4

#: Statistics that there is room for; sixteen exist.
MAX_STATISTICS = 64

Request = TypeVar("Request")


class Space(NamedTuple):
    """What a lane needs of memory: a buffer, of bytes, and an indirect table, of descriptors."""

    buffer_size: int
    descriptors: int = 0

    @property
    def table_offset(self) -> int:
        """Where the table is after the beginning of the buffer: aligned to 16 bytes."""
        return -(-self.buffer_size // 16) * 16

    @property
    def size(self) -> int:
        """The bytes of both."""
        return self.table_offset + self.descriptors * DESCRIPTOR_SIZE


def arena_spaces(features: int, batch: int) -> dict[Queue, Space]:
    """Return what each queue needs, for `batch` page numbers in a request."""
    indirect = int(has(features, RING_INDIRECT_DESC))
    sizes = {
        Queue.STATS: Space(MAX_STATISTICS * ENTRY_SIZE, indirect),
        Queue.REPORTING: Space(0, MAX_REPORT * indirect),  # its buffers are the free pages
        Queue.HINT: Space(COMMAND_ID_SIZE, MAX_REPORT * indirect),  # and here, too
    }
    pages = Space(batch * PFN_SIZE, indirect)
    return {queue: sizes.get(queue, pages) for queue in queues_of(features)}


class Lane(Generic[Request]):
    """A queue that is idle, has a request with the device, or is broken.

    Its `space` lies at `address`; if that has an indirect table, it is used. `request` is what
    the caller wants to remember of what the device has.
    """

    __slots__ = ("_buffer", "_memory", "_notify", "_table", "problem", "request", "ring")

    def __init__(self, memory: GuestMemory, ring: DriverSide, address: int, space: Space) -> None:
        self.ring = ring
        self.request: Request | None = None
        self.problem = ""
        self._notify = False
        self._memory = memory
        self._buffer = address
        self._table = address + space.table_offset if space.descriptors else 0

    @property
    def idle(self) -> bool:
        """Whether the queue can take a request."""
        return self.request is None and not self.problem

    def send(self, payload: bytes, request: Request) -> None:
        """Have the device read `payload`."""
        self._memory.write(self._buffer, payload)
        self.send_as_it_lies(len(payload), request)

    def send_as_it_lies(self, length: int, request: Request) -> None:
        """Have the device read what is in the buffer, whatever that is."""
        self.ring.add([(self._buffer, length)], table=self._table)
        self.request = request
        self._notify = True

    def lend(self, ranges: Sequence[tuple[int, int]], request: Request) -> None:
        """Let the device write to `ranges` (address, length in bytes)."""
        self.ring.add((), ranges, table=self._table)
        self.request = request
        self._notify = True

    def take_notification(self) -> bool:
        """Return whether the device is to be told of a request, and forget it."""
        notify, self._notify = self._notify, False
        return notify

    def done(self) -> Request | None:
        """Return the request that came back, None if none did. Raises `BrokenRing`, once.

        How much the device says it wrote is nobody's business: legacy devices say anything
        (5.5.6.2.1).
        """
        try:
            returned = self.ring.collect()
        except BrokenRing as error:
            self.problem = str(error)
            raise
        if not returned:
            return None
        request, self.request = self.request, None
        return request
