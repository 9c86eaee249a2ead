"""What is in pages that are not the guest's to use, and whether it stays.

Touches the guest's memory files: reads them, and writes marks where a device may (virtio 1.2,
5.5.6.2: while a request is with it, and with MUST_TELL_HOST while a page is in the balloon).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import sha256
from os import pread, pwrite

from aerostat.balloon.abi import MUST_TELL_HOST, PAGE_SIZE
from aerostat.balloon.device import Request
from aerostat.testing.check.driver.stand import Stand
from aerostat.virtio.features import has
from aerostat.virtio.memory import GuestMemory, Piece


class Contents:
    """The content of pages as it was when this was made; with `mark`, ours.

    `pages` is where they are: the memory file, and the offset in it, by the page's number.
    """

    def __init__(self, pages: dict[int, tuple[int, int]], *, mark: bool) -> None:
        self._pages = pages
        self._before: dict[int, bytes] = {}
        for number, (file, offset) in pages.items():
            if mark:
                self._before[number] = _mark(number)
                pwrite(file, self._before[number], offset)
            else:
                self._before[number] = pread(file, PAGE_SIZE, offset)

    @classmethod
    def of_balloon(cls, stand: Stand) -> Contents:
        """Take the pages of the balloon, and mark them if the driver must tell before it uses them.

        From now on `stand.device.taken_back` has what was taken out of it.
        """
        stand.device.taken_back.clear()
        mark = has(stand.device.negotiated, MUST_TELL_HOST)
        return cls(_places(_memory(stand), sorted(stand.device.balloon)), mark=mark)

    def __len__(self) -> int:
        return len(self._before)

    def changed(self, besides: Collection[int] = ()) -> int:
        """Return how many pages have another content by now, `besides` those of these numbers."""
        return sum(
            pread(*_whole(self._pages[number])) != before
            for number, before in self._before.items()
            if number not in besides
        )

    def told(self, changed: int) -> str:
        """Return in words that so many pages have changed."""
        return f"{changed} of {len(self)} pages were used"


def marked(request: Request) -> Contents:
    """Write a mark into each page of a request that is with the device."""
    return Contents(_places_of(request.pieces), mark=True)


def _mark(number: int) -> bytes:
    digest = sha256(number.to_bytes(8, "little")).digest()
    return digest * (PAGE_SIZE // len(digest))


def _whole(place: tuple[int, int]) -> tuple[int, int, int]:
    file, offset = place
    return file, PAGE_SIZE, offset


def _memory(stand: Stand) -> GuestMemory:
    assert stand.guest.memory is not None
    return stand.guest.memory.guest


def _places(memory: GuestMemory, numbers: Iterable[int]) -> dict[int, tuple[int, int]]:
    pieces, _ = memory.clip([(number * PAGE_SIZE, PAGE_SIZE) for number in numbers])
    return _places_of(pieces)


def _places_of(pieces: Iterable[Piece]) -> dict[int, tuple[int, int]]:
    return {
        (region.guest_address + at) // PAGE_SIZE: (region.file, region.file_offset + at)
        for region, offset, length in pieces
        for at in range(offset, offset + length, PAGE_SIZE)
    }
