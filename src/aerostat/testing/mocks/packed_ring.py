"""A driver's packed ring for testing devices: it writes lists that no driver should.

Works on any `GuestMemory`, as `mocks.driver`'s split one does, and is what
`aerostat.virtio.driver_packed_ring` is where nothing is misused.
"""

from collections.abc import Sequence
from typing import NamedTuple

from aerostat.virtio import driver_packed_ring
from aerostat.virtio.chain import DESCRIPTOR_SIZE, NEXT
from aerostat.virtio.driver_packed_ring import lay_out_packed
from aerostat.virtio.memory import GuestMemory
from aerostat.virtio.packed_ring import DESCRIPTOR, MARKS

# Of the driver's event structure, the word that says which notifications are wanted (2.8.10).
_EVENT_FLAGS = 2


class Raw(NamedTuple):
    """A descriptor as it is written, but for the marks that make it available."""

    address: int
    length: int
    id: int
    flags: int = 0


class DriverPackedRing(driver_packed_ring.DriverPackedRing):
    """A driver's packed ring of `size`, laid out from `address` (16-aligned) on.

    `start` is the position at which both sides begin, from 0 to 2 * `size`. What `write` makes
    available is not the ring's to collect: `used_ids` says what came back.
    """

    def __init__(self, memory: GuestMemory, size: int, address: int, start: int = 0) -> None:
        super().__init__(memory, size, lay_out_packed(address, size), start=start)

    def write(self, *descriptors: Raw, available: int | None = None) -> None:
        """Write a list, whatever it is, and make so many of its descriptors available (None: all).

        The first one's flags come last, as they should.
        """
        count = len(descriptors) if available is None else available
        for number, raw in reversed([*enumerate(descriptors)]):
            position = self._advance(self._next_avail, number)
            mark = self._mark(position) if number < count else self._mark(position) ^ MARKS
            packed = DESCRIPTOR.pack(raw.address, raw.length, raw.id, raw.flags | mark)
            place = position % self.size * DESCRIPTOR_SIZE
            self.memory.write(self.layout.desc + place, packed)
        self._next_avail = self._advance(self._next_avail, len(descriptors))

    def used_ids(self) -> list[int]:
        """Return the ids of all descriptors that are marked as used, of the first round."""
        found = []
        for slot in range(self.size):
            place = self.layout.desc + slot * DESCRIPTOR_SIZE
            _, _, id_, flags = DESCRIPTOR.unpack(self.memory.read(place, DESCRIPTOR_SIZE))
            if flags & MARKS == MARKS:
                found.append(id_)
        return found

    def want_notifications(self, flags: int) -> None:
        """Say by the driver's event structure which notifications are wanted (2.8.10)."""
        self.memory.write(self.layout.avail + _EVENT_FLAGS, flags.to_bytes(2, "little"))


def chained(descriptors: Sequence[Raw]) -> list[Raw]:
    """Return descriptors as one list: all but the last go on."""
    return [
        *(raw._replace(flags=raw.flags | NEXT) for raw in descriptors[:-1]),
        *descriptors[-1:],
    ]
