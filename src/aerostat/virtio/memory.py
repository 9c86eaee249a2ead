"""The guest's memory as a device sees it: regions, copies, and words shared with a live guest.

May touch the buffers it is given, nothing else: whoever mapped the memory unmaps it. Guest
addresses are virtio 1.2, 2.7 ("physical addresses"); regions follow the vhost-user memory table.

Everything here may change under our hands at any moment, because the guest is running. So what
is to be checked is copied first, once (`read`), and what is to be shared is accessed one whole
word at a time (`SharedWords`).
"""

from __future__ import annotations

import os
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal, NamedTuple

from aerostat.errors import MissingError, PeerError, UsageError

#: Little-endian, but for legacy guests that are not: theirs use their own (virtio 1.2, 2.7.3).
Byteorder = Literal["little", "big"]

_ADDRESS_SPACE = 1 << 64


class BadAddress(PeerError):
    """An address range is not, or not wholly, guest memory."""


class Ordering:
    """The memory ordering that two sides of a ring rely on, for one kind of machine.

    This one is x86's total store order: loads are not reordered with loads, nor stores with
    stores, so nothing need be done. CPython cannot reorder two bytecodes either. What x86 does
    not order is a store and a later load of another word: Python can be seen to have them change
    places (``tools/ordering.py``). No code here needs that, because it never suppresses
    notifications and does not offer EVENT_IDX (virtio 1.2, 2.7.7, 2.7.10 and 2.8.10), for which
    each side must look at a word of the other's right after a store of its own. A fence between
    them could be had, but there is nothing to save: a balloon's driver waits for each request
    before it makes the next, so that each notification tells of the only one there is.

    A weakly ordered machine needs real fences in both methods.
    """

    __slots__ = ()

    def acquire(self) -> None:
        """Let no later load happen before an earlier one."""

    def publish(self) -> None:
        """Let no later store be seen before an earlier one."""


def ordering_of(machine: str) -> Ordering:
    """Return the ordering of `machine` (as `os.uname` names it). Raises `MissingError`."""
    if machine not in {"x86_64", "i686", "i586", "i386"}:
        raise MissingError(
            f"rings in live memory need fences on {machine}, which are not written; "
            "x86-64 needs none"
        )
    return Ordering()


def require_ordering() -> Ordering:
    """Return the ordering of this machine. Raises `MissingError` where it has none to rely on."""
    return ordering_of(os.uname().machine)


class SharedWords:
    """16-bit words of `byteorder` that a live peer reads and writes at the same time.

    The one place through which such words are accessed. Each access is a single element of
    ``memoryview.cast("H")``, which CPython compiles to one aligned 16-bit load or store.
    Not so the other ways: a slice is a memcpy of no promised width, which may tear; and
    ``struct.pack_into`` zero-fills its destination before it packs, so that the peer can see a
    zero that nobody wrote.
    """

    __slots__ = ("_ordering", "_swapped", "_words")

    def __init__(
        self,
        view: memoryview,
        byteorder: Byteorder = "little",
        ordering: Ordering | None = None,
    ) -> None:
        self._words = view.cast("H")
        self._swapped = byteorder != sys.byteorder
        self._ordering = ordering or require_ordering()

    def load(self, index: int) -> int:
        """Return word `index`."""
        value = self._words[index]
        return _swap(value) if self._swapped else value

    def store(self, index: int, value: int) -> None:
        """Set word `index`."""
        self._words[index] = _swap(value) if self._swapped else value

    def acquire(self, index: int) -> int:
        """Return word `index`; loads that come later see at least what it promises."""
        value = self._words[index]
        self._ordering.acquire()
        return _swap(value) if self._swapped else value

    def publish(self, index: int, value: int) -> None:
        """Set word `index`; who sees it also sees every store made before."""
        word = _swap(value) if self._swapped else value
        self._ordering.publish()
        self._words[index] = word

    def release(self) -> None:
        """Let go of the memory. Later accesses raise `ValueError`."""
        self._words.release()


def _swap(word: int) -> int:
    return word >> 8 | (word & 0xFF) << 8


class Region:
    """One contiguous piece of guest memory, mapped.

    `guest_address` and `user_address` (the front-end's own) are where its first byte is, `size`
    is in bytes, `view` is a writable view of exactly these bytes. `file` identifies the file
    behind them (a descriptor; -1 for none) and `file_offset` is the first byte's place in it.
    """

    __slots__ = ("file", "file_offset", "guest_address", "size", "user_address", "view")

    def __init__(
        self,
        guest_address: int,
        size: int,
        user_address: int,
        view: memoryview,
        file_offset: int = 0,
        file: int = -1,
    ) -> None:
        if view.nbytes != size or view.format != "B" or view.readonly:
            raise UsageError(f"a region of {size} bytes needs a writable view of so many bytes")
        self.guest_address = guest_address
        self.size = size
        self.user_address = user_address
        self.view = view
        self.file_offset = file_offset
        self.file = file

    def __repr__(self) -> str:
        return f"<Region {self.guest_address:#x}+{self.size:#x}>"


class Piece(NamedTuple):
    """`length` bytes of `region`, from `offset` bytes into it."""

    region: Region
    offset: int
    length: int


# What `Piece(...)` comes to, without its Python: a scattered request makes 256 of them.
_piece: Callable[[tuple[Region, int, int]], Piece] = partial(tuple.__new__, Piece)


class GuestMemory:
    """The regions of one guest. Raises `BadAddress` if they overlap, wrap around or are empty."""

    __slots__ = ("_regions", "_starts")

    def __init__(self, regions: Iterable[Region]) -> None:
        self._regions = tuple(sorted(regions, key=lambda region: region.guest_address))
        self._starts = [region.guest_address for region in self._regions]
        end = 0
        for region in self._regions:
            if region.size <= 0 or region.guest_address < end:
                raise BadAddress(f"memory table: {region!r} is empty or overlaps another")
            end = region.guest_address + region.size
        if end > _ADDRESS_SPACE:
            raise BadAddress("memory table: a region goes beyond 2^64")

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions, by ascending guest address."""
        return self._regions

    def area(self, address: int, length: int) -> memoryview:
        """Return a view of `length` bytes that lie in one region; the caller releases it."""
        index = bisect_right(self._starts, address) - 1
        if index >= 0:
            region = self._regions[index]
            offset = address - region.guest_address
            if length >= 0 and offset + length <= region.size:
                return region.view[offset : offset + length]
        raise BadAddress(f"{address:#x}+{length:#x} is not within one region of guest memory")

    def read(self, address: int, length: int) -> bytes:
        """Return a copy of `length` bytes. The caller bounds `length`."""
        index = bisect_right(self._starts, address) - 1
        if index >= 0:
            region = self._regions[index]
            offset = address - region.guest_address
            if 0 <= length <= region.size - offset:
                return bytes(region.view[offset : offset + length])
        return b"".join(
            bytes(region.view[offset : offset + size])
            for region, offset, size in self.split(address, length)
        )

    def write(self, address: int, data: bytes) -> None:
        """Copy `data` to `address`; either all of it or, if any of it is outside, none."""
        done = 0
        for region, offset, size in self.split(address, len(data)):
            region.view[offset : offset + size] = data[done : done + size]
            done += size

    def split(self, address: int, length: int) -> list[Piece]:
        """Return the pieces that make up a range; regions may adjoin. Raises `BadAddress`."""
        pieces, outside = self.clip([(address, length)])
        if outside or length < 0:
            raise BadAddress(f"{address:#x}+{length:#x} is not all guest memory")
        return pieces

    def clip(self, ranges: Iterable[tuple[int, int]]) -> tuple[list[Piece], int]:
        """Return the pieces of `ranges` that are memory, and the number of bytes that are not.

        For ranges (address, length) that a guest made up: what lies outside is left out, not
        refused.
        """
        pieces: list[Piece] = []
        outside = index = start = end = 0
        for address, length in ranges:
            if not start <= address < end and self._regions:
                # Seldom: most ranges are in the region of the one before.
                index = max(0, bisect_right(self._starts, address) - 1)
                region = self._regions[index]
                start, end = region.guest_address, region.guest_address + region.size
            if start <= address and 0 < length <= end - address:
                pieces.append(_piece((region, address - start, length)))
            else:
                across = self._across(index, address, address + length)
                pieces += across
                outside += length - sum(piece.length for piece in across)
        return pieces, outside

    def _across(self, index: int, start: int, end: int) -> list[Piece]:
        """Return what lies between two addresses, in the region at `index` and those after."""
        pieces = []
        for region in self._regions[index:]:
            first = max(start - region.guest_address, 0)
            last = min(end - region.guest_address, region.size)
            if last <= 0:
                break
            if first < last:
                pieces.append(Piece(region, first, last - first))
        return pieces

    def user_to_guest(self, user_address: int, length: int) -> int:
        """Return the guest address of the front-end's `user_address`.

        vhost-user names ring parts by the front-end's own addresses. Raises `BadAddress` unless
        `length` bytes from there lie in one region.
        """
        for region in self._regions:
            offset = user_address - region.user_address
            if offset >= 0 and 0 <= length <= region.size - offset:
                return region.guest_address + offset
        raise BadAddress(f"user address {user_address:#x}+{length:#x} is not within one region")

    def words16(self, address: int, count: int, byteorder: Byteorder = "little") -> SharedWords:
        """Return `count` shared words at `address`, even and in one region. Raises `BadAddress`."""
        view = self.area(address, 2 * count)
        # Odd in the mapping is what would tear; mappings themselves begin on a page.
        index = bisect_right(self._starts, address) - 1
        if (address - self._starts[index]) % 2:
            raise BadAddress(f"shared words at {address:#x} are not aligned")
        return SharedWords(view, byteorder)

    def release(self) -> None:
        """Let go of every region's view, so that its owner can unmap it.

        Rings hold views of their own: release them first.
        """
        for region in self._regions:
            region.view.release()
