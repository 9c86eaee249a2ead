"""A guest's hand on its rings, split or packed: it makes buffers available, sound or not. Pure."""

from typing import Protocol

from aerostat.testing.fuzz.source import Source
from aerostat.virtio import split_ring
from aerostat.virtio.chain import DESCRIPTORS
from aerostat.virtio.memory import Byteorder, GuestMemory
from aerostat.virtio.packed_ring import AVAIL, FRESH, USED, PackedRing
from aerostat.virtio.ring import DeviceSide
from aerostat.virtio.split_ring import SplitRing


class Pen(Protocol):
    """The hand on one ring."""

    size: int

    @property
    def parts(self) -> tuple[int, int, int]:
        """The guest addresses of the ring's areas."""

    def offer(
        self, source: Source, memory: GuestMemory, address: int, length: int, flags: int
    ) -> None:
        """Describe a buffer, and make it available, both mostly as it should be done."""

    def ring(self, memory: GuestMemory, base: int | None, *, indirect: bool) -> DeviceSide:
        """Return the device's side; `base` is where it begins, None for where it should."""


def _align(address: int) -> int:
    return -(-address // 4) * 4


class SplitPen:
    """The hand on a split ring of `size` that lies from `at` on."""

    def __init__(self, at: int, size: int, order: Byteorder) -> None:
        self.size = size
        self._order: Byteorder = order
        desc_size, avail_size, _ = split_ring.areas(size)
        self.parts = at, at + desc_size, _align(at + desc_size + avail_size)
        self._index = 0

    def offer(
        self, source: Source, memory: GuestMemory, address: int, length: int, flags: int
    ) -> None:
        """Write a descriptor, an entry and the index."""
        slot = source.below(self.size)
        following = source.below(self.size + 1)
        descriptor = DESCRIPTORS[self._order].pack(address, length, flags, following)
        desc, avail, _ = self.parts
        memory.write(desc + 16 * slot, descriptor)
        entry = source.near(slot, 16)
        memory.write(avail + 4 + 2 * (self._index % self.size), entry.to_bytes(2, self._order))
        self._index = source.near((self._index + 1) & 0xFFFF, 16)
        memory.write(avail + 2, self._index.to_bytes(2, self._order))

    def ring(self, memory: GuestMemory, base: int | None, *, indirect: bool) -> DeviceSide:
        """Return the device's side."""
        return SplitRing(
            memory, self.size, *self.parts, base=base, indirect=indirect, byteorder=self._order
        )


class PackedPen:
    """The hand on a packed ring of `size` that lies from `at` on."""

    def __init__(self, at: int, size: int) -> None:
        self.size = size
        self.parts = at, at + 16 * size, at + 16 * size + 4
        self._position = 0

    def offer(
        self, source: Source, memory: GuestMemory, address: int, length: int, flags: int
    ) -> None:
        """Write a descriptor that is available by its flags."""
        slot = self._position % self.size
        marks = AVAIL if self._position < self.size else USED
        head = source.near(slot, 16)
        marks = source.choose((AVAIL, USED, 0, AVAIL | USED)) if source.chance(10) else marks
        descriptor = DESCRIPTORS["little"].pack(
            address, length, head, (flags & ~(AVAIL | USED)) | marks
        )
        memory.write(self.parts[0] + 16 * slot, descriptor)
        self._position = (self._position + 1) % (2 * self.size)

    def ring(self, memory: GuestMemory, base: int | None, *, indirect: bool) -> DeviceSide:
        """Return the device's side."""
        begin = FRESH if base is None else base
        return PackedRing(memory, self.size, *self.parts, base=begin, indirect=indirect)
