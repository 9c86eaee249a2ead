"""A driver's pages: the numbers that it sends, and an account of the pages that it does not have.

Pure; runs inside guests. Virtio 1.2, 5.5.6: no page may be given twice, none taken back that was
not given, and none used before it is back. The account is small beside the pages: four bytes for
each in the balloon, and a bit for each in the neighbourhood of one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from struct import pack

from aerostat.virtio.memory import Byteorder

PFN_SIZE = 4
MAX_PFN = 0xFFFFFFFF

_PREFIX = {"little": "<", "big": ">"}

# Pages that share one integer of bits: 4 MiB of memory, if they are of 4096 bytes.
_NEIGHBOURS = 1024


def pack_pages(pages: list[int], pfns_per_page: int, byteorder: Byteorder) -> bytes:
    """Return the array of page numbers of 4096 bytes that stands for `pages` of the guest's."""
    pfns = pages
    if pfns_per_page > 1:
        pfns = [page * pfns_per_page + n for page in pages for n in range(pfns_per_page)]
    return pack(f"{_PREFIX[byteorder]}{len(pfns)}I", *pfns)


class PageAccount:
    """The pages, by number, that are not the guest's to use.

    ``give`` → (on their way) → ``arrive`` → (in the balloon) → ``ask`` → (on their way back) →
    ``regain``. What was given last is asked for first.
    """

    __slots__ = ("_away", "_balloon")

    def __init__(self) -> None:
        self._balloon = array("I")
        self._away: dict[int, int] = {}  # bits of the pages, wherever they are but with the guest

    def __len__(self) -> int:
        """Return the number of pages in the balloon, without those on their way."""
        return len(self._balloon)

    def give(self, pages: Iterable[int]) -> int | None:
        """Send `pages` on their way; if one of them is away already, return it and send none."""
        away: dict[int, int] = {}
        for page in pages:
            key, place = divmod(page, _NEIGHBOURS)
            bits = away.get(key)
            if bits is None:
                bits = self._away.get(key, 0)
            if bits >> place & 1:
                return page
            away[key] = bits | 1 << place
        self._away.update(away)
        return None

    def arrive(self, pages: Iterable[int]) -> None:
        """Put `pages`, which were given, into the balloon."""
        self._balloon.extend(pages)

    def ask(self, count: int) -> list[int]:
        """Take at most `count` pages from the balloon, and return them; they are not back yet."""
        kept = max(0, len(self._balloon) - max(0, count))
        asked = self._balloon[kept:].tolist()
        del self._balloon[kept:]
        asked.reverse()
        return asked

    def regain(self, pages: Iterable[int]) -> None:
        """Take `pages`, which were asked for, as the guest's again."""
        for page in pages:
            key, place = divmod(page, _NEIGHBOURS)
            left = self._away[key] & ~(1 << place)
            if left:
                self._away[key] = left
            else:
                del self._away[key]

    def pages(self) -> list[int]:
        """Return all pages that are not with the guest, ascending."""
        return [
            key * _NEIGHBOURS + place
            for key in sorted(self._away)
            for place in range(_NEIGHBOURS)
            if self._away[key] >> place & 1
        ]
