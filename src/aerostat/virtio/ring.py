"""What split and packed virtqueues have in common, for whoever need not know which one it has.

Declarations and their checks, no more (virtio 1.2, sections 2.6 to 2.8). Runs inside guests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from aerostat.errors import PeerError, UsageError
from aerostat.virtio.chain import Chain
from aerostat.virtio.features import RING_PACKED, has
from aerostat.virtio.memory import GuestMemory

MAX_SIZE = 32768  # descriptors; virtio 1.2, 2.7 and 2.8

Buffer = tuple[int, int]  # address, length in bytes

_MAX_LENGTH = 0xFFFFFFFF  # of a buffer
_MAX_CHAIN = 1 << 32  # bytes of all buffers of a chain (2.7.5.2)


class BrokenRing(PeerError):
    """The ring itself makes no sense; nothing more can be taken from it until it is reset."""


def is_size(features: int, size: int) -> bool:
    """Return whether a ring may have `size` descriptors."""
    return 0 < size <= MAX_SIZE and (has(features, RING_PACKED) or not size & (size - 1))


class RingLayout(NamedTuple):
    """The guest addresses of a ring's three areas, and of the first byte after them.

    They are called after a split ring's; of a packed one, `avail` and `used` are the driver's
    and the device's event suppression (2.6).
    """

    desc: int
    avail: int
    used: int
    end: int


class Used(NamedTuple):
    """A chain that the device gave back, and the bytes that it says it wrote.

    Nothing is to be made of `written` before it is compared with the buffer; legacy devices say
    anything there.
    """

    head: int
    written: int


def check_buffers(size: int, lengths: list[int]) -> None:
    """Raise `UsageError` unless a ring of `size` may have a chain of buffers of these `lengths`.

    However it is described, no chain may be longer than the ring (2.7.5.3.1, 2.8.17).
    """
    if not 0 < len(lengths) <= size:
        raise UsageError(f"a chain of {len(lengths)} in a ring of {size}")
    if not 0 <= min(lengths) <= max(lengths) <= _MAX_LENGTH or sum(lengths) > _MAX_CHAIN:
        raise UsageError(f"a chain of {sum(lengths)} bytes")


class DeviceSide(Protocol):
    """The device's side of a virtqueue: `SplitRing` or `PackedRing`."""

    memory: GuestMemory
    size: int

    @property
    def base(self) -> int:
        """What a successor must know to go on from here, as vhost-user has it."""

    @property
    def begun(self) -> bool:
        """Whether a buffer of the ring has been used since its driver made it."""

    @property
    def waiting(self) -> bool:
        """Whether there is a chain to take. Raises `BrokenRing`."""

    def pop(self) -> Chain | None:
        """Take the next chain; None if there is none. Raises `BadChain`, `BrokenRing`."""

    def unpop(self) -> None:
        """Put the chain taken last, and not given back, into the ring again."""

    def push(self, head: int, written: int = 0) -> None:
        """Give the chain at `head` back, with the bytes `written` to it."""

    def rebind(self, memory: GuestMemory, desc: int, avail: int, used: int) -> None:
        """Carry on where we are in a changed memory table. Raises `BrokenRing`."""

    def release(self) -> None:
        """Let go of the memory."""


class DriverSide(Protocol):
    """The driver's side of a virtqueue: `DriverRing` or `DriverPackedRing`."""

    memory: GuestMemory
    size: int
    layout: RingLayout

    @property
    def base(self) -> int:
        """What a device that uses buffers in order must know to go on, as vhost-user has it."""

    def add(
        self, readable: Iterable[Buffer], writable: Iterable[Buffer] = (), *, table: int = 0
    ) -> int:
        """Make a chain of these buffers available; return its head. Raises `UsageError`."""

    def collect(self) -> list[Used]:
        """Return the chains that came back, in their order. Raises `BrokenRing`."""

    def release(self) -> None:
        """Let go of the memory."""
