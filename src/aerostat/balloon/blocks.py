"""Pages of 4096 bytes that the balloon has, in memory that the host can only free in larger blocks.

Pure. The balloon's unit is 4096 bytes whatever page size the host uses (virtio 1.2, 5.5.6), so a
huge page comes in many parts, in any order, and can be given back when all of them are there.
"""

from collections.abc import Iterable

from aerostat.balloon.abi import PAGE_SIZE


class BalloonBlocks:
    """Which pages of each block of `block_size` bytes (a multiple of 4096) are in the balloon.

    Addresses are bytes of whatever the blocks are blocks of: a memory file. A block weighs about
    100 bytes here while any page of it is in the balloon.
    """

    __slots__ = ("_all", "_block_pages", "_blocks")

    def __init__(self, block_size: int) -> None:
        self._block_pages = block_size // PAGE_SIZE
        self._all = (1 << self._block_pages) - 1
        self._blocks: dict[int, int] = {}  # a bit for each page, by the block's number

    def add(self, start: int, end: int) -> tuple[int, int]:
        """Put what lies between two addresses into the balloon, whole pages of it.

        Return the (start, end) of the blocks it touches that are in the balloon whole; an empty
        span if none is. There is never a gap between them: only the first and the last block can
        be touched in part.
        """
        whole: list[int] = []
        for block, mask in self._masks(-(-start // PAGE_SIZE), end // PAGE_SIZE):
            pages = self._blocks[block] = self._blocks.get(block, 0) | mask
            if pages == self._all:
                self._blocks[block] = self._all  # one object for all of them
                whole.append(block)
        if not whole:
            return start, start
        block_size = self._block_pages * PAGE_SIZE
        return whole[0] * block_size, (whole[-1] + 1) * block_size

    def remove(self, start: int, end: int) -> None:
        """Take what lies between two addresses out of the balloon, and pages that it cuts."""
        for block, mask in self._masks(start // PAGE_SIZE, -(-end // PAGE_SIZE)):
            pages = self._blocks.pop(block, 0) & ~mask
            if pages:
                self._blocks[block] = pages

    def state(self) -> list[tuple[int, str]]:
        """Return (block number, mask of its pages in hexadecimal digits), for another to be so."""
        return [(block, f"{pages:x}") for block, pages in self._blocks.items()]

    def restore(self, state: Iterable[tuple[int, str]]) -> None:
        """Be as another was, by its `state`."""
        for block, digits in state:
            pages = int(digits, 16) & self._all
            if pages:
                self._blocks[block] = self._all if pages == self._all else pages

    def clear(self) -> None:
        """Have an empty balloon."""
        self._blocks.clear()

    def _masks(self, first: int, end: int) -> list[tuple[int, int]]:
        """Return each block that has some of the pages from `first` to before `end`, and which."""
        size = self._block_pages
        masks = []
        while first < end:
            block, offset = divmod(first, size)
            count = min(size - offset, end - first)
            masks.append((block, ((1 << count) - 1) << offset))
            first += count
        return masks
