"""The driver's side of a packed virtqueue (virtio 1.2, section 2.8).

Touches the ring and the indirect tables that it is given places for, in guest memory, and nothing
else; whoever owns the notifications sends them. Runs inside guests. It is used as a split ring
is, see `driver_ring`, and keeps the same order of stores as its other end, `packed_ring`.

The device is not trusted: what it gives back must be what it has, or the ring is broken for good.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from aerostat.errors import UsageError
from aerostat.virtio.chain import DESCRIPTOR_SIZE, INDIRECT, NEXT, WRITE
from aerostat.virtio.memory import GuestMemory
from aerostat.virtio.packed_ring import (
    AVAIL,
    DESCRIPTOR,
    DESCRIPTOR_WORDS,
    EVENT_SIZE,
    FLAGS_WORD,
    MARKS,
    USED,
    encode_base,
)
from aerostat.virtio.ring import MAX_SIZE, BrokenRing, Buffer, RingLayout, Used, check_buffers

_FLAGS_SIZE = 2


def lay_out_packed(address: int, size: int) -> RingLayout:
    """Return where the areas of a packed ring of `size` lie, from `address` on.

    Raises `UsageError` for what the specification forbids.
    """
    if not 0 < size <= MAX_SIZE:
        raise UsageError(f"packed rings have 1 to {MAX_SIZE} descriptors, not {size}")
    if address % 16:
        raise UsageError(f"a ring at {address:#x} is misaligned")
    driver_event = address + size * DESCRIPTOR_SIZE
    device_event = driver_event + EVENT_SIZE
    return RingLayout(address, driver_event, device_event, device_event + EVENT_SIZE)


class DriverPackedRing:
    """The driver's side of a packed ring of `size` at `layout`, which is cleared.

    `start` is the position at which both sides begin, from 0 to 2 * `size` as `PackedRing` counts
    them; the specification has them begin at 0, tests of their wrapping elsewhere.

    Notifications are never suppressed, neither the device's to us nor, as long as the caller
    sends them all, ours to it (see `memory.Ordering`). Release it before the memory.
    """

    def __init__(
        self, memory: GuestMemory, size: int, layout: RingLayout, *, start: int = 0
    ) -> None:
        self.memory = memory
        self.size = size
        self.layout = layout
        self._problem = ""
        memory.write(layout.desc, bytes(layout.end - layout.desc))
        self._words = memory.words16(layout.desc, size * DESCRIPTOR_WORDS)
        self._next_avail = start
        self._next_used = start
        self._free = size  # descriptors
        self._ids = deque(range(size))  # those that are free
        self._chains: dict[int, int] = {}  # how many descriptors each chain has, by its id

    def release(self) -> None:
        """Let go of the memory; the ring cannot be used afterwards."""
        self._words.release()

    @property
    def free(self) -> int:
        """The number of descriptors that are not in use."""
        return self._free

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
        """The positions after the last buffer that the device used, as vhost-user has them.

        A device that uses buffers in order, as a balloon does, starts again from there.
        """
        position, out = self._next_used, dict(self._chains)
        while self._is_used(position):
            count = out.pop(self._look(position).head, 0)
            if not count:
                break  # `collect` will say what is wrong
            position = self._advance(position, count)
        return encode_base(self.size, position, position)

    @property
    def next_head(self) -> int:
        """The head of the chain that `add` makes next. Raises `UsageError` when full."""
        if not self._free:
            raise UsageError(f"all {self.size} descriptors are in use")
        return self._ids[0]

    def add(
        self, readable: Iterable[Buffer], writable: Iterable[Buffer] = (), *, table: int = 0
    ) -> int:
        """Make a chain of these buffers available to the device; return its head, a buffer id.

        With `table`, an address with room for 16 bytes a buffer, they are described by an
        indirect table there, which RING_INDIRECT_DESC must allow. Raises `UsageError` for an
        empty chain, for one that is too long, of buffers or of bytes, and for one for which there
        are no descriptors.
        """
        buffers = [(address, length, 0) for address, length in readable]
        buffers += [(address, length, WRITE) for address, length in writable]
        check_buffers(self.size, [length for _, length, _ in buffers])
        if table:
            for number, (address, length, flags) in enumerate(buffers):
                entry = DESCRIPTOR.pack(address, length, 0, flags)
                self.memory.write(table + number * DESCRIPTOR_SIZE, entry)
            buffers = [(table, len(buffers) * DESCRIPTOR_SIZE, INDIRECT)]
        if len(buffers) > self._free:
            raise UsageError(f"{len(buffers)} buffers, but {self._free} free descriptors")
        head = self._ids.popleft()
        self._free -= len(buffers)
        self._chains[head] = len(buffers)
        self._offer(head, buffers)
        return head

    def _offer(self, head: int, buffers: list[tuple[int, int, int]]) -> None:
        """Write a list of descriptors, the flags of the first one last (2.8.21.1)."""
        first = self._next_avail
        marked = [
            (address, length, flags | self._mark(self._advance(first, number)) | NEXT)
            for number, (address, length, flags) in enumerate(buffers)
        ]
        address, length, flags = marked[-1]
        marked[-1] = (address, length, flags & ~NEXT)
        for number, (address, length, flags) in enumerate(marked):
            descriptor = DESCRIPTOR.pack(address, length, head, flags)
            at = self._advance(first, number) % self.size * DESCRIPTOR_SIZE
            written = descriptor if number else descriptor[:-_FLAGS_SIZE]
            self.memory.write(self.layout.desc + at, written)
        self._next_avail = self._advance(first, len(buffers))
        # The device looks at no other of these descriptors before this one's flags (2.8.2).
        self._words.publish(first % self.size * DESCRIPTOR_WORDS + FLAGS_WORD, marked[0][2])

    def _mark(self, position: int) -> int:
        return AVAIL if position < self.size else USED

    def _advance(self, position: int, count: int) -> int:
        return (position + count) % (2 * self.size)

    def _is_used(self, position: int) -> bool:
        flags = self._words.acquire(position % self.size * DESCRIPTOR_WORDS + FLAGS_WORD)
        return flags & MARKS == (MARKS if position < self.size else 0)

    def _look(self, position: int) -> Used:
        address = self.layout.desc + position % self.size * DESCRIPTOR_SIZE
        copy = self.memory.read(address, DESCRIPTOR_SIZE)
        _, length, head, flags = DESCRIPTOR.unpack(copy)
        # Without WRITE the length means nothing (2.8.4).
        return Used(head, length if flags & WRITE else 0)

    def collect(self) -> list[Used]:
        """Return the chains that came back, in their order; none is no error.

        Raises `BrokenRing` when the device gives back what it does not have; what came before is
        returned first, and the error comes with the next call, and all later.
        """
        collected: list[Used] = []
        # With nothing out, a descriptor that is marked as used is one of a round before.
        while self._chains and not self._problem and self._is_used(self._next_used):
            used = self._look(self._next_used)
            count = self._chains.pop(used.head, 0)
            if not count:
                self._problem = f"the device used {used.head}, which it does not have"
                break
            self._next_used = self._advance(self._next_used, count)
            self._free += count
            self._ids.append(used.head)
            collected.append(used)
        if self._problem and not collected:
            raise BrokenRing(self._problem)
        return collected
