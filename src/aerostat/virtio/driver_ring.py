"""The driver's side of a split virtqueue (virtio 1.2, section 2.7).

Touches the ring and the indirect tables that it is given places for, in guest memory, and nothing
else; whoever owns the x

The device is not trusted: what it gives back must be what it has, or the ring is broken for good.

::

    layout = lay_out(address, size)
    ring = DriverRing(memory, size, layout)   # tell the device: layout.desc, .avail, .used
    head = ring.add([(0x8000, 1024)])         # then notify the device
    for used in ring.collect():               # when it notifies us, or at any time
        ...
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from aerostat.errors import UsageError
from aerostat.virtio.chain import DESCRIPTOR_SIZE, DESCRIPTORS, INDIRECT, NEXT, WRITE
from aerostat.virtio.memory import Byteorder, GuestMemory
from aerostat.virtio.ring import (
    MAX_SIZE,
    BrokenRing,
    Buffer,
    RingLayout,
    Used,
    check_buffers,
)
from aerostat.virtio.split_ring import (
    INDEX,
    RING,
    USED_ELEMENT_SIZE,
    USED_ELEMENTS,
    USED_HEADER_SIZE,
    areas,
)

__all__ = ["DriverRing", "RingLayout", "Used", "lay_out"]


def lay_out(address: int, size: int, align: int = 4) -> RingLayout:
    """Return where the areas of a ring of `size` lie, from `address` on.

    Modern transports take each area's address, and an `align` of 4 bytes is enough. Legacy ones
    take the first alone, and work out the rest from an alignment (2.7.2), with virtio-pci 4096.
    Raises `UsageError` for what the specification forbids.
    """
    if not 0 < size <= MAX_SIZE or size & (size - 1):
        raise UsageError(f"rings have a power of two of descriptors, to {MAX_SIZE}, not {size}")
    if address % 16 or align < 4 or align & (align - 1):
        raise UsageError(f"a ring at {address:#x} with an alignment of {align} is misaligned")
    desc_size, avail_size, used_size = areas(size)
    avail = address + desc_size
    used = _align(avail + avail_size, align)
    return RingLayout(address, avail, used, _align(used + used_size, align))


def _align(value: int, align: int) -> int:
    return (value + align - 1) & -align


class DriverRing:
    """The driver's side of a split ring of `size` at `layout`, which is cleared.

    `byteorder` is the guest's own for a legacy driver (2.7.3). `start` is where the indices
    begin; the specification has them begin at 0, tests of their wrapping elsewhere.

    Notifications are never suppressed, neither the device's to us nor, as long as the caller
    sends them all, ours to it (see `memory.Ordering`). Release it before the memory.
    """

    def __init__(
        self,
        memory: GuestMemory,
        size: int,
        layout: RingLayout,
        *,
        byteorder: Byteorder = "little",
        start: int = 0,
    ) -> None:
        self.memory = memory
        self.size = size
        self.layout = layout
        self._problem = ""
        _, avail_size, used_size = areas(size)
        memory.write(layout.desc, bytes(layout.end - layout.desc))
        self._avail = memory.words16(layout.avail, avail_size // 2, byteorder)
        self._used = memory.words16(layout.used, used_size // 2, byteorder)
        self._avail.store(INDEX, start)
        self._used.store(INDEX, start)
        self._descriptor = DESCRIPTORS[byteorder]
        self._element = USED_ELEMENTS[byteorder]
        self._next_avail = start
        self._next_used = start
        self._free = deque(range(size))
        self._chains: dict[int, list[int]] = {}  # the descriptors of each chain, by its head

    def release(self) -> None:
        """Let go of the memory; the ring cannot be used afterwards."""
        self._avail.release()
        self._used.release()

    @property
    def free(self) -> int:
        """The number of descriptors that are not in use."""
        return len(self._free)

    @property
    def outstanding(self) -> int:
        """The number of chains that the device has."""
        return len(self._chains)

    @property
    def broken(self) -> bool:
        """Whether the device gave back what it did not have; the ring is dead until a reset."""
        return bool(self._problem)

    @property
    def base(self) -> int:
        """The index after the last buffer that the device used.

        A device that uses buffers in order, as a balloon does, starts again from there.
        """
        return self._used.acquire(INDEX)

    @property
    def next_head(self) -> int:
        """The head of the chain that `add` makes next. Raises `UsageError` when full."""
        if not self._free:
            raise UsageError(f"all {self.size} descriptors are in use")
        return self._free[0]

    def add(
        self, readable: Iterable[Buffer], writable: Iterable[Buffer] = (), *, table: int = 0
    ) -> int:
        """Make a chain of these buffers available to the device; return its head.

        With `table`, an address with room for 16 bytes a buffer, they are described by an
        indirect table there, which RING_INDIRECT_DESC must allow. Raises `UsageError` for an
        empty chain, for one that is too long, of buffers or of bytes, and for one for which there
        are no descriptors.
        """
        buffers = [(address, length, 0) for address, length in readable]
        buffers += [(address, length, WRITE) for address, length in writable]
        self._check(buffers)
        if table:
            self._describe(table, buffers, range(len(buffers)))
            buffers = [(table, len(buffers) * DESCRIPTOR_SIZE, INDIRECT)]
        if len(buffers) > len(self._free):
            raise UsageError(f"{len(buffers)} buffers, but {len(self._free)} free descriptors")
        indices = [self._free.popleft() for _ in buffers]
        self._describe(self.layout.desc, buffers, indices)
        self._chains[indices[0]] = indices
        self._offer(indices[0])
        return indices[0]

    def _check(self, buffers: list[tuple[int, int, int]]) -> None:
        check_buffers(self.size, [length for _, length, _ in buffers])

    def _describe(
        self, table: int, buffers: list[tuple[int, int, int]], indices: Iterable[int]
    ) -> None:
        following = [*islice(indices, 1, None), None]
        for (address, length, flags), index, link in zip(buffers, indices, following):
            chained = flags if link is None else flags | NEXT
            descriptor = self._descriptor.pack(address, length, chained, link or 0)
            self.memory.write(table + index * DESCRIPTOR_SIZE, descriptor)

    def _offer(self, head: int) -> None:
        self._avail.store(RING + self._next_avail % self.size, head)
        self._next_avail = (self._next_avail + 1) & 0xFFFF
        # Whoever sees the index also sees the entry and the descriptors (2.7.13.3).
        self._avail.publish(INDEX, self._next_avail)

    def collect(self) -> list[Used]:
        """Return the chains that came back, in their order; none is no error (2.7.7.1).

        Raises `BrokenRing` when the device gives back what it does not have, or more than that;
        what came before is returned first, and the error comes with the next call, and all later.
        """
        returned = (self._used.acquire(INDEX) - self._next_used) & 0xFFFF
        if returned > len(self._chains):
            self._problem = f"the device used {returned} chains and has {len(self._chains)}"
        collected: list[Used] = []
        while not self._problem and len(collected) < returned:
            used = self._look()
            descriptors = self._chains.pop(used.head, None)
            if descriptors is None:
                self._problem = f"the device used {used.head}, which it does not have"
                break
            self._free.extend(descriptors)
            self._next_used = (self._next_used + 1) & 0xFFFF
            collected.append(used)
        if self._problem and not collected:
            raise BrokenRing(self._problem)
        return collected

    def _look(self) -> Used:
        slot = self._next_used % self.size
        address = self.layout.used + USED_HEADER_SIZE + slot * USED_ELEMENT_SIZE
        return Used(*self._element.unpack(self.memory.read(address, USED_ELEMENT_SIZE)))
