"""The device's side of a packed virtqueue (virtio 1.2, section 2.8).

Touches the three parts of the ring in guest memory and nothing else; whoever owns the
notifications sends them. Those are never suppressed, and EVENT_IDX is not implemented; why, says
`memory.Ordering`.

What orders a split ring orders this one. A descriptor belongs to the other side as soon as its
flags say so, and they are one aligned 16-bit word, which is loaded before anything else of the
descriptor, and stored after everything else of it. So x86-64, which keeps loads in order, and
stores, needs no fence (2.8.21.1; `memory.Ordering`).

Unlike a split ring, a packed one does not show in memory how far the device has come: what it
skipped (2.8.6) looks as if it were still to be taken. Only the `base` tells, which must be kept
by whoever starts the ring again.
"""

from __future__ import annotations

from struct import Struct

from aerostat.errors import UsageError
from aerostat.virtio.chain import (
    DESCRIPTOR_SIZE,
    DESCRIPTORS,
    INDIRECT,
    NEXT,
    WRITE,
    BadChain,
    Chain,
    copy_table,
)
from aerostat.virtio.memory import BadAddress, GuestMemory
from aerostat.virtio.ring import MAX_SIZE, BrokenRing

# Flags of a descriptor by which its owner is known (2.8.1).
AVAIL = 1 << 7
USED = 1 << 15
MARKS = AVAIL | USED

# A descriptor is address, length, id, flags; packed rings are little-endian (2.8.13).
DESCRIPTOR = DESCRIPTORS["little"]
ID_SIZE = 2
FLAGS_WORD, DESCRIPTOR_WORDS = 7, 8  # in 16-bit words

# What the device writes of a descriptor before its flags: length and id.
_USED_PART = Struct("<IH")
_USED_PART_OFFSET = 8

EVENT_SIZE = 4  # of each event suppression structure (2.8.14)

# vhost-user's form of a base: a place and its wrap counter for the next available descriptor in
# the low 16 bits, for the next used one in the high 16.
_WRAP_BIT = 1 << 15
_USED_SHIFT = 16


def areas(size: int) -> tuple[int, int, int]:
    """Return the bytes that the descriptors and the event structures take in a ring of `size`."""
    return DESCRIPTOR_SIZE * size, EVENT_SIZE, EVENT_SIZE


def encode_base(size: int, avail: int, used: int) -> int:
    """Return the base of two positions in a ring of `size`, as `PackedRing` counts them."""
    return _encode_position(size, avail) | _encode_position(size, used) << _USED_SHIFT


def _encode_position(size: int, position: int) -> int:
    return position | _WRAP_BIT if position < size else position - size


#: The base of a ring at which nothing has happened yet: its wrap counters are 1.
FRESH = encode_base(1, 0, 0)


class PackedRing:
    """A packed virtqueue of `size` descriptors, of any number, at guest address `desc`.

    `driver_event` and `device_event` are where the event suppression structures are. `base` is
    what an earlier device's was; the ring begins where that has used a buffer last, which is right
    for a device that works in order, whatever its front-end believes of the rest.
    Raises `BrokenRing` for a size, alignment, address or base that the specification forbids.
    Release it before the memory.

    Positions are counted over two rounds of the ring, from 0 to 2 * `size`: in the first half the
    wrap counter is 1, in the second 0 (2.8.1).
    """

    __slots__ = (
        "_bytes",
        "_indirect",
        "_last",
        "_next_avail",
        "_next_used",
        "_out",
        "_taken",
        "_words",
        "memory",
        "size",
    )

    def __init__(
        self,
        memory: GuestMemory,
        size: int,
        desc: int,
        driver_event: int,
        device_event: int,
        base: int = FRESH,
        *,
        indirect: bool = True,
    ) -> None:
        if not 0 < size <= MAX_SIZE:
            raise BrokenRing(f"a ring of {size} descriptors")
        self.size = size
        self._indirect = indirect
        self._taken: dict[int, int] = {}  # how many descriptors each chain has, by its id
        self._out = 0  # descriptors of chains that were taken and not given back
        self._last = 0  # the id that was taken last
        self._bind(memory, desc, driver_event, device_event)
        self._next_avail = self._next_used = self._decode_base(base)

    def _bind(self, memory: GuestMemory, desc: int, driver_event: int, device_event: int) -> None:
        if desc % 16 or driver_event % 4 or device_event % 4:
            raise BrokenRing(f"misaligned ring: {desc:#x}, {driver_event:#x}, {device_event:#x}")
        try:
            # What is in them means nothing to a device that always notifies; that the driver has
            # them in memory is checked all the same. They are left at 0: all events enabled.
            memory.area(driver_event, EVENT_SIZE).release()
            memory.area(device_event, EVENT_SIZE).release()
            self._words = memory.words16(desc, self.size * DESCRIPTOR_WORDS)
            self._bytes = memory.area(desc, self.size * DESCRIPTOR_SIZE)
        except BadAddress as error:
            raise BrokenRing(f"ring outside memory: {error}") from error
        self.memory = memory

    def _decode_base(self, base: int) -> int:
        used = base >> _USED_SHIFT & 0xFFFF
        slot, wrap = used & ~_WRAP_BIT, used & _WRAP_BIT
        if slot >= self.size:
            raise BrokenRing(f"descriptor {slot} is where a ring of {self.size} begins")
        # After a round the last descriptor is marked, by either side. If it is not, there has
        # been none, and the base is from a front-end that knows split rings only (such as
        # user-mode Linux's, which always says 0).
        if not wrap and self._flags(self.size - 1) & MARKS:
            return slot + self.size
        return slot

    def rebind(self, memory: GuestMemory, desc: int, avail: int, used: int) -> None:
        """Carry on where we are in a changed memory table. Raises `BrokenRing`."""
        self.release()
        self._bind(memory, desc, avail, used)

    def release(self) -> None:
        """Let go of the memory; the ring can then only be rebound, or asked for its `base`."""
        self._words.release()
        self._bytes.release()

    @property
    def base(self) -> int:
        """The positions to restart from, as vhost-user has them."""
        return encode_base(self.size, self._next_avail, self._next_used)

    @property
    def begun(self) -> bool:
        """Whether a buffer of the ring has been used since its driver made it.

        At the beginning of every second round, the last descriptor tells: a driver makes its rings
        of zeros (2.8.13), and in the first round it marks them as available.
        """
        last = bytes(self._bytes[-DESCRIPTOR_SIZE:])
        return self._next_used > 0 or (any(last) and self._flags(self.size - 1) & MARKS != AVAIL)

    @property
    def waiting(self) -> bool:
        """Whether there is a chain to take."""
        return self._is_available(self._next_avail)

    def _flags(self, slot: int) -> int:
        return self._words.acquire(slot * DESCRIPTOR_WORDS + FLAGS_WORD)

    def _is_available(self, position: int) -> bool:
        if position < self.size:
            return self._flags(position) & MARKS == AVAIL
        return self._flags(position - self.size) & MARKS == USED

    def _advance(self, position: int, count: int) -> int:
        return (position + count) % (2 * self.size)

    def pop(self) -> Chain | None:
        """Take the next chain; None if there is none.

        Raises `BadChain` if it is malformed (it counts as taken: give its head back), and
        `BrokenRing` if it cannot be said where it ends, or whose it is.
        """
        taken = self._take_list()
        if taken is None:
            return None
        descriptors, head = taken
        self._taken[head] = len(descriptors)
        self._out += len(descriptors)
        self._last = head
        self._next_avail = self._advance(self._next_avail, len(descriptors))
        return self._chain(head, descriptors)

    def _take_list(self) -> tuple[list[tuple[int, int, int]], int] | None:
        """Return the next list's descriptors, (address, length, flags), and its id."""
        descriptors: list[tuple[int, int, int]] = []
        # No list is longer than what the driver can have free (2.8.17), so a longer one is a
        # loop, or overlaps what we have in hand.
        room = self.size - self._out
        position = self._next_avail
        while self._is_available(position):
            at = position % self.size * DESCRIPTOR_SIZE
            copy = bytes(self._bytes[at : at + DESCRIPTOR_SIZE])
            address, length, head, flags = DESCRIPTOR.unpack(copy)
            descriptors.append((address, length, flags))
            if len(descriptors) + bool(flags & NEXT) > room:
                raise BrokenRing(f"a list of more than {room} descriptors")
            if not flags & NEXT:  # the last one has the list's id (2.8.6)
                if head in self._taken:
                    raise BrokenRing(f"buffer id {head}, which is in use")
                return descriptors, head
            position = self._advance(position, 1)
        if descriptors:
            raise BrokenRing("a list of descriptors that are not all available")
        return None

    def _chain(self, head: int, descriptors: list[tuple[int, int, int]]) -> Chain:
        if any(flags & INDIRECT for _, _, flags in descriptors):
            if not self._indirect or len(descriptors) > 1:
                raise BadChain(head, "an indirect table that is in a list or not agreed")
            ((address, length, _),) = descriptors
            table = copy_table(self.memory, head, address, length)
            # In a table, WRITE alone means anything (2.8.7): a nested one is a plain buffer.
            descriptors = [
                (address, length, flags)
                for address, length, _, flags in DESCRIPTOR.iter_unpack(table)
            ]
        readable: list[tuple[int, int]] = []
        writable: list[tuple[int, int]] = []
        for address, length, flags in descriptors:
            if flags & WRITE:
                if length:
                    writable.append((address, length))
            elif writable:
                raise BadChain(head, "a readable buffer after a writable one")
            elif length:
                readable.append((address, length))
        return Chain(head, tuple(readable), tuple(writable))

    def unpop(self) -> None:
        """Put the chain taken last, and not given back, into the ring again."""
        self._next_avail = self._advance(self._next_avail, -self._settle(self._last))

    def push(self, head: int, written: int = 0) -> None:
        """Give the chain at `head` back, with the bytes `written` to it; then notify the driver.

        One descriptor stands for all of the chain's, the others are passed over (2.8.6).
        """
        count = self._settle(head)
        position = self._next_used
        slot = position % self.size
        # The driver does not look at length and id before the flags say so, hence pack_into is
        # safe here, which must not touch the flags themselves.
        at = slot * DESCRIPTOR_SIZE + _USED_PART_OFFSET
        _USED_PART.pack_into(self._bytes, at, written, head)
        marks = MARKS if position < self.size else 0
        # WRITE says that there is something to read (2.8.3).
        self._words.publish(slot * DESCRIPTOR_WORDS + FLAGS_WORD, marks | (WRITE if written else 0))
        self._next_used = self._advance(position, count)

    def _settle(self, head: int) -> int:
        """Forget a chain that is no longer in hand; return how many descriptors it has."""
        count = self._taken.pop(head, 0)
        if not count:
            raise UsageError(f"no buffer with id {head} was taken")
        self._out -= count
        return count
