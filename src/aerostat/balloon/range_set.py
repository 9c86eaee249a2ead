"""A set of address ranges that a guest made up, of bounded weight.

Pure. Ranges are (address, length) in bytes.
"""

from bisect import bisect_left, bisect_right

from aerostat.balloon.pages import Range


class RangeSet:
    """Disjoint ranges, at most `most` of them; what overlaps or adjoins becomes one.

    `size` is the bytes of all together. A range weighs about 100 bytes here.
    """

    __slots__ = ("_ends", "_most", "_starts", "size")

    def __init__(self, most: int) -> None:
        self._most = most
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.size = 0

    def __len__(self) -> int:
        """Return the number of ranges."""
        return len(self._starts)

    def add(self, address: int, length: int) -> bool:
        """Add a range; return false, and add nothing, where there is no room for one more."""
        if length <= 0:
            return True
        start, end = address, address + length
        first = bisect_left(self._ends, start)  # of those that it touches
        last = bisect_right(self._starts, end)  # the one after those
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        elif len(self._starts) >= self._most:
            return False
        self.size += end - start - sum(self._ends[first:last]) + sum(self._starts[first:last])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]
        return True

    def ranges(self) -> list[Range]:
        """Return the ranges, ascending."""
        pairs = zip(self._starts, self._ends, strict=True)
        return [(start, end - start) for start, end in pairs]

    def clear(self) -> None:
        """Remove all."""
        self._starts.clear()
        self._ends.clear()
        self.size = 0
