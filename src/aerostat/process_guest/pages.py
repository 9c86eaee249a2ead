"""The pages of a process guest: who has each, and what is in it.

Pages are named by their page frame numbers, 4096 bytes each (virtio 1.2, 5.5.6); who has them is
kept here, in what order they are given as well. What is taken for programs and files is really
written, and known again when it is looked at: every 64-bit word of such a page says which page it
is. Touches the guest's memory through a view. NumPy.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from aerostat.balloon.abi import PAGE_SIZE

Pfns = npt.NDArray[np.int64]

# An odd factor, so that no two pages have the same mark (2**64 divided by the golden ratio).
_MARK = np.uint64(0x9E3779B97F4A7C15)
_WORDS = PAGE_SIZE // 8


class Owner(IntEnum):
    """Who has a page."""

    FREE = 0
    KERNEL = 1
    PROGRAMS = 2
    FILES = 3
    BALLOON = 4
    REPORTING = 5
    """Free, and just being reported to the device: it may not be used before the answer."""
    HINTED = 6
    """Free, and hinted to the device: kept for it as long as nobody needs it."""


class Pages:
    """All pages in `view`, the guest's memory from its address 0 on; all are free at first.

    Like those of a kernel that has just started, free pages are given in few and long runs, and
    from the highest down; with `scattered`, seeded by `seed`, in none at all, as after years.
    """

    def __init__(self, view: memoryview, *, scattered: bool = False, seed: int = 0) -> None:
        self._words = np.frombuffer(view, np.uint64).reshape(-1, _WORDS)
        self._owners = np.zeros(len(self._words), np.uint8)
        self._known_free = np.zeros(len(self._words), np.bool_)
        self._counts = dict.fromkeys(Owner, 0)
        self._counts[Owner.FREE] = len(self._owners)
        self._chance = np.random.default_rng(seed) if scattered else None

    def __len__(self) -> int:
        """Return how many pages there are."""
        return len(self._owners)

    def count(self, owner: Owner) -> int:
        """Return how many pages `owner` has."""
        return self._counts[owner]

    def of(self, owner: Owner) -> Pfns:
        """Return the pages that `owner` has, in rising order."""
        return np.flatnonzero(self._owners == owner)

    def take(self, owner: Owner, count: int) -> Pfns:
        """Give `owner` at most `count` free pages, and return them as they were chosen."""
        if count <= 0:
            return np.empty(0, np.int64)
        free = self.of(Owner.FREE)
        pfns = free[: -count - 1 : -1] if self._chance is None else self._scatter(free, count)
        self.hand(pfns, owner)
        return pfns

    def _scatter(self, free: Pfns, count: int) -> Pfns:
        assert self._chance is not None
        return self._chance.permutation(free)[:count]

    def free_some(self, owner: Owner, count: int) -> None:
        """Free `count` pages of `owner`, or all that it has."""
        if count > 0:
            self.hand(self.of(owner)[:count], Owner.FREE)

    def hand(self, pfns: npt.ArrayLike, owner: Owner) -> None:
        """Give these pages, no page twice, to `owner`, whoever had them."""
        chosen = np.asarray(pfns, np.int64)
        for old, count in enumerate(np.bincount(self._owners[chosen], minlength=len(Owner))):
            self._counts[Owner(old)] -= int(count)
        self._owners[chosen] = owner
        self._known_free[chosen] = False
        self._counts[owner] += len(chosen)

    def write(self, pfns: Pfns) -> None:
        """Write each page's mark all over it."""
        for begin, end in _runs(pfns):
            self._words[begin:end] = _marks(begin, end)

    def damaged(self, pfns: Pfns) -> int:
        """Return how many of these pages are not as they were written."""
        return sum(
            int(np.count_nonzero((self._words[begin:end] != _marks(begin, end)).any(axis=1)))
            for begin, end in _runs(pfns)
        )

    def fill(self, pfns: Pfns, word: int) -> None:
        """Fill pages with a 32-bit word, such as the value that poisons free ones."""
        for begin, end in _runs(pfns):
            self._words[begin:end] = np.uint64(word << 32 | word)

    def know_free(self, pfns: Pfns) -> None:
        """Remember of free pages that the host knows it, for as long as they stay free."""
        self._known_free[pfns] = True

    def free_blocks(self, size: int, *, known: bool = False) -> Pfns:
        """Return the first pages of the aligned blocks of `size` bytes that are free throughout.

        Blocks of which the host knows it are left out, unless those that are `known` count, too.
        """
        length = size // PAGE_SIZE
        end = len(self) // length * length
        owned = self._owners[:end].reshape(-1, length).any(axis=1)
        if not known:
            owned |= self._known_free[:end].reshape(-1, length).all(axis=1)
        return np.flatnonzero(~owned) * length

    def release(self) -> None:
        """Let go of the memory."""
        del self._words


def _marks(begin: int, end: int) -> npt.NDArray[np.uint64]:
    # From 1, so that no mark is zero: what a hole in the memory reads as.
    return (np.arange(begin + 1, end + 1, dtype=np.uint64) * _MARK)[:, np.newaxis]


def _runs(pfns: Pfns) -> list[tuple[int, int]]:
    """Return pages, in any order, as the beginnings and ends of runs."""
    if len(pfns) == 0:
        return []
    inorder = np.sort(pfns)
    gaps = np.flatnonzero(np.diff(inorder) != 1) + 1
    begins = inorder[np.concatenate(([0], gaps))]
    ends = inorder[np.concatenate((gaps - 1, [-1]))] + 1
    return list(zip(begins.tolist(), ends.tolist(), strict=True))
