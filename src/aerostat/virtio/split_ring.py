"""The device's side of a split virtqueue (virtio 1.2, section 2.7).

Touches the three parts of the ring in guest memory and nothing else; whoever owns the
notifications sends them. Those are never suppressed, and EVENT_IDX is not implemented; why, says
`memory.Ordering`.
"""

from __future__ import annotations

from struct import Struct

from aerostat.virtio.chain import DESCRIPTOR_SIZE, Chain, walk
from aerostat.virtio.memory import BadAddress, Byteorder, GuestMemory
from aerostat.virtio.ring import MAX_SIZE, BrokenRing

__all__ = ["MAX_SIZE", "BrokenRing", "SplitRing", "areas"]

INDEX, RING = 1, 2  # 16-bit words of both avail and used; word 0 are flags
USED_ELEMENTS = {"little": Struct("<II"), "big": Struct(">II")}  # id, len
USED_ELEMENT_SIZE = 8
USED_HEADER_SIZE = 4


def areas(size: int) -> tuple[int, int, int]:
    """Return the bytes that the descriptor table, avail and used take in a ring of `size`."""
    return DESCRIPTOR_SIZE * size, 6 + 2 * size, 6 + USED_ELEMENT_SIZE * size


class SplitRing:
    """A split virtqueue of `size` descriptors at guest addresses `desc`, `avail` and `used`.

    `base` is the index of the first avail entry to take; None means to begin at the used index,
    which is right for a device that works in order, whatever its front-end believes. `byteorder`
    is big for the rings of a big-endian legacy guest, and only for them (2.7.3).
    Indices run from 0 to 65535 and wrap. Raises `BrokenRing` for a size, alignment or address
    that the specification forbids. Release it before the memory.
    """

    __slots__ = (
        "_avail",
        "_byteorder",
        "_desc",
        "_element",
        "_indirect",
        "_mask",
        "_next_avail",
        "_next_used",
        "_used",
        "_used_bytes",
        "memory",
        "size",
    )

    def __init__(
        self,
        memory: GuestMemory,
        size: int,
        desc: int,
        avail: int,
        used: int,
        base: int | None = 0,
        *,
        indirect: bool = True,
        byteorder: Byteorder = "little",
    ) -> None:
        if not 0 < size <= MAX_SIZE or size & (size - 1):
            raise BrokenRing(f"a ring of {size} descriptors")
        self.size = size
        self._mask = size - 1
        self._indirect = indirect
        self._byteorder: Byteorder = byteorder
        self._element = USED_ELEMENTS[byteorder]
        self._bind(memory, desc, avail, used)
        # The driver may know buffers that were used before we came: go on counting from there.
        self._next_used = self._used.load(INDEX)
        self._next_avail = self._next_used if base is None else base & 0xFFFF

    def _bind(self, memory: GuestMemory, desc: int, avail: int, used: int) -> None:
        if desc % 16 or avail % 2 or used % 4:
            raise BrokenRing(f"misaligned ring: {desc:#x}, {avail:#x}, {used:#x}")
        desc_size, avail_size, used_size = areas(self.size)
        try:
            self._desc = memory.area(desc, desc_size)
            self._avail = memory.words16(avail, avail_size // 2, self._byteorder)
            self._used = memory.words16(used, used_size // 2, self._byteorder)
            self._used_bytes = memory.area(used, used_size)
        except BadAddress as error:
            raise BrokenRing(f"ring outside memory: {error}") from error
        self.memory = memory

    def rebind(self, memory: GuestMemory, desc: int, avail: int, used: int) -> None:
        """Carry on where we are in a changed memory table. Raises `BrokenRing`."""
        self.release()
        self._bind(memory, desc, avail, used)

    def release(self) -> None:
        """Let go of the memory; the ring can then only be rebound, or asked for its `base`."""
        self._desc.release()
        self._avail.release()
        self._used.release()
        self._used_bytes.release()

    @property
    def next_avail(self) -> int:
        """The index of the next avail entry to take."""
        return self._next_avail

    @property
    def base(self) -> int:
        """What to restart from: the index of the next avail entry to take."""
        return self._next_avail

    @property
    def begun(self) -> bool:
        """Whether a buffer of the ring has been used since its driver made it."""
        return self._next_used > 0

    @property
    def waiting(self) -> bool:
        """Whether there is a chain to take. Raises `BrokenRing`."""
        return self.pending > 0

    @property
    def pending(self) -> int:
        """The number of chains that wait to be taken. Raises `BrokenRing`."""
        waiting = (self._avail.acquire(INDEX) - self._next_avail) & 0xFFFF
        # There are only `size` descriptors, so no driver can be further ahead.
        if waiting > self.size:
            raise BrokenRing(f"avail index is {waiting} ahead in a ring of {self.size}")
        return waiting

    def pop(self) -> Chain | None:
        """Take the next chain; None if there is none.

        Raises `BadChain` if it is malformed (it counts as taken: give its head back), and
        `BrokenRing` if the ring itself is.
        """
        if not self.pending:
            return None
        head = self._avail.load(RING + (self._next_avail & self._mask))
        if head >= self.size:
            raise BrokenRing(f"head {head} in a ring of {self.size}")
        self._next_avail = (self._next_avail + 1) & 0xFFFF
        return walk(
            self.memory, self._desc, head, indirect=self._indirect, byteorder=self._byteorder
        )

    def unpop(self) -> None:
        """Put the chain taken last, and not given back, into the ring again."""
        self._next_avail = (self._next_avail - 1) & 0xFFFF

    def push(self, head: int, written: int = 0) -> None:
        """Give the chain at `head` back, with the bytes `written` to it; then notify the driver."""
        at = USED_HEADER_SIZE + USED_ELEMENT_SIZE * (self._next_used & self._mask)
        # The driver does not look at this element before the index says so (2.7.8.2), hence
        # pack_into is safe here, and only here.
        self._element.pack_into(self._used_bytes, at, head, written)
        self._next_used = (self._next_used + 1) & 0xFFFF
        self._used.publish(INDEX, self._next_used)
