"""The pages that the balloon takes: allocated, pinned, and known by their frames.

May map memory, pin it through `pins`, and ask `pagemap` for its frames. Pages are taken in chunks
and unmapped when a chunk is back whole; so at most one chunk is neither the host's nor the
guest's. Private anonymous memory, because a shared file would count as page cache in the very
statistics that are sent. Standard library only, Python 3.9.

The kernel zeroes what it gives to a program, so inflating from user space writes every page once,
which the kernel's own driver does only with ``init_on_alloc``.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Container, Iterable
from typing import Protocol

from aerostat.guest.pagemap import PAGE_SIZE, address_of
from aerostat.guest.pins import MAX_SLOTS, Pins

# As much as one request takes with pages of 4096 bytes.
_CHUNK_SIZE = 1 << 20


class Frames(Protocol):
    """Says where memory is."""

    def frames(self, address: int, count: int) -> list[int]:
        """Return the frame numbers of `count` pages from `address`, 0 for those not in memory."""


class _Chunk:
    """Mapped and pinned pages: `frames` by place; the host does not have those at `spare`."""

    __slots__ = ("address", "frames", "mapping", "slot", "spare")

    def __init__(self, mapping: mmap.mmap, slot: int, frames: Iterable[int]) -> None:
        self.mapping = mapping
        self.address = address_of(mapping)
        self.slot = slot
        self.frames = array("Q", frames)
        self.spare = list(reversed(range(len(self.frames))))

    def places(self, frames: Container[int]) -> list[int]:
        """Return the places of those of `frames` that are in here."""
        return [place for place, frame in enumerate(self.frames) if frame in frames]


class BalloonPages:
    """Takes pages from the guest and gives them back to it, by frame number.

    `memory_size` is the guest's: chunks grow with it, since there can only be `MAX_SLOTS`. `lag`
    is how many seconds it may take before what went back can be seen to be free.
    """

    def __init__(self, pins: Pins, pagemap: Frames, *, memory_size: int) -> None:
        self._pins = pins
        self._pagemap = pagemap
        chunk_size = max(_CHUNK_SIZE, 2 * memory_size // MAX_SLOTS)
        self._chunk_pages = max(1, chunk_size // PAGE_SIZE)
        self._chunks: list[_Chunk] = []
        self._slots = list(reversed(range(MAX_SLOTS)))
        self.lag = pins.lag

    def take(self, wanted: int, most: int) -> list[int]:
        """Return the frames of at most `most` pages, to be inflated; none if memory is short.

        `wanted`, in pages, is how many will be asked for in all.
        """
        if not (self._chunks and self._chunks[-1].spare):
            chunk = self._allocate(min(wanted, self._chunk_pages))
            if chunk is None:
                return []
            self._chunks.append(chunk)
        chunk = self._chunks[-1]
        if not self._pins.holds:
            now = self._frames(chunk)
            for place in chunk.spare:
                chunk.frames[place] = now[place]
        places = [chunk.spare.pop() for _ in range(min(wanted, most, len(chunk.spare)))]
        return [chunk.frames[place] for place in places]

    def moved(self, frames: Iterable[int]) -> int:
        """Return how many pages, inflated as `frames`, have been moved by the kernel since.

        Only pages that are locked and not pinned can have been.
        """
        if self._pins.holds:
            return 0
        moved = 0
        for chunk, places in self._find(frames):
            now = self._frames(chunk)
            moved += sum(chunk.frames[place] != now[place] for place in places)
        return moved

    def give_back(self, frames: Iterable[int]) -> None:
        """Take pages back that the device let go of; memory is the guest's chunk by chunk."""
        for chunk, places in self._find(frames):
            chunk.spare += reversed(places)
            if len(chunk.spare) == len(chunk.frames):
                self._release(chunk)

    def _find(self, frames: Iterable[int]) -> list[tuple[_Chunk, list[int]]]:
        """Return where pages are that were taken, looking at the latest first."""
        sought = set(frames)
        found = []
        for chunk in reversed(self._chunks):
            if not sought:
                break
            places = chunk.places(sought)
            if places:
                sought.difference_update(chunk.frames[place] for place in places)
                found.append((chunk, places))
        return found

    def _frames(self, chunk: _Chunk) -> list[int]:
        return self._pagemap.frames(chunk.address, len(chunk.frames))

    def _allocate(self, pages: int) -> _Chunk | None:
        if not self._slots:
            return None
        size = pages * PAGE_SIZE
        try:
            mapping = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError:
            return None
        # Single pages go back to the guest one by one, without a large one to be broken up.
        mapping.madvise(mmap.MADV_NOHUGEPAGE)
        address = address_of(mapping)
        if self._pins.pin(self._slots[-1], address, size):
            frames = self._pagemap.frames(address, pages)
            if all(frames):
                return _Chunk(mapping, self._slots.pop(), frames)
            self._pins.unpin(self._slots[-1], address, size)
        mapping.close()
        return None

    def _release(self, chunk: _Chunk) -> None:
        # From the end, where it nearly always is.
        for index in reversed(range(len(self._chunks))):
            if self._chunks[index] is chunk:
                del self._chunks[index]
                break
        self._pins.unpin(chunk.slot, chunk.address, len(chunk.mapping))
        chunk.mapping.close()
        self._slots.append(chunk.slot)
