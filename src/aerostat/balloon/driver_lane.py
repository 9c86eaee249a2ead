"""One queue of a balloon driver: its ring, its buffer, and the one request that it has out.

Touches guest memory: its buffer, and its ring through `DriverRing`. Runs inside guests. A driver
has one request at a time on each queue, as Linux's has: 256 pages a request are enough, and on
the statistics queue more are forbidden (virtio 1.2, 5.5.6.3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from aerostat.virtio.chain import DESCRIPTOR_SIZE
from aerostat.virtio.driver_ring import DriverRing
from aerostat.virtio.memory import GuestMemory
from aerostat.virtio.split_ring import BrokenRing

Request = TypeVar("Request")


def space(buffer_size: int, descriptors: int) -> int:
    """Return the bytes that a lane takes with an indirect table of `descriptors` (0: none)."""
    return -(-buffer_size // 16) * 16 + descriptors * DESCRIPTOR_SIZE


class Lane(Generic[Request]):
    """A queue that is idle, has a request with the device, or is broken.

    The buffer of `buffer_size` bytes lies at `address`, an indirect table behind it if one is to
    be used. `request` is what the caller wants to remember of what the device has.
    """

    __slots__ = ("_buffer", "_memory", "_table", "problem", "request", "ring")

    def __init__(
        self,
        memory: GuestMemory,
        ring: DriverRing,
        address: int,
        buffer_size: int,
        *,
        indirect: bool = False,
    ) -> None:
        self.ring = ring
        self.request: Request | None = None
        self.problem = ""
        self._memory = memory
        self._buffer = address
        self._table = address + space(buffer_size, 0) if indirect else 0

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

    def lend(self, ranges: Sequence[tuple[int, int]], request: Request) -> None:
        """Let the device write to `ranges` (address, length in bytes)."""
        self.ring.add((), ranges, table=self._table)
        self.request = request

    def done(self) -> Request | None:
        """Return the request that came back, None if none did. Marks the lane when it breaks.

        How much the device says it wrote is nobody's business: legacy devices say anything
        (2.7.8.3).
        """
        if self.problem:
            return None
        try:
            returned = self.ring.collect()
        except BrokenRing as error:
            self.problem = str(error)
            return None
        if not returned:
            return None
        request, self.request = self.request, None
        return request
