"""Decisions read off the bytes of a case, one after the other. Pure.

A case is bytes, and what a target does with them is decided by nothing else: so a case is played
again by its bytes alone, a fuzzer that knows nothing of the protocol can mutate them, and one that
cuts some off leaves a case that is still one. Where the bytes have ended everything is 0, and the
first of all choices: what comes first should be what does least.
"""

from collections.abc import Sequence
from typing import TypeVar

_Choice = TypeVar("_Choice")

# Numbers at which arithmetic goes wrong: powers of two, and one less or more.
_EDGES = tuple(
    sorted({max(0, (1 << bits) + step) for bits in (0, 3, 4, 7, 8, 12, 15, 16, 20, 24, 31, 32, 40,
                                                    48, 52, 53, 62, 63, 64) for step in (-1, 0, 1)})
)  # fmt: skip


class Source:
    """The bytes of one case, and how far they have been read."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """The number of bytes that have not been read."""
        return len(self._data) - self._at

    def byte(self) -> int:
        """Return the next byte."""
        at = self._at
        if at >= len(self._data):
            return 0
        self._at = at + 1
        return self._data[at]

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        part = self._data[self._at : self._at + size]
        self._at += len(part)
        return part.ljust(size, b"\0")

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(self.left)

    def bits(self, count: int) -> int:
        """Return a number of so many bits, any with the same chance."""
        return int.from_bytes(self.take((count + 7) // 8), "little") & ((1 << count) - 1)

    def below(self, bound: int) -> int:
        """Return a number from 0 to before `bound`."""
        if bound <= 256:
            return self.byte() % bound
        return self.bits(bound.bit_length() + 8) % bound

    def number(self, bits: int) -> int:
        """Return a number of at most so many bits: mostly a small one, or an edge."""
        kind = self.byte()
        if kind < 0x60:
            return kind & ((1 << bits) - 1)
        if kind < 0xC0:
            return _EDGES[self.byte() % len(_EDGES)] & ((1 << bits) - 1)
        return self.bits(bits)

    def near(self, value: int, bits: int) -> int:
        """Return a number of at most so many bits that is `value`, near it, or anything."""
        kind = self.byte()
        if kind < 0xA0:
            return value
        if kind < 0xE0:
            return max(0, value + (self.byte() - 128)) & ((1 << bits) - 1)
        return self.number(bits)

    def chance(self, percent: int) -> bool:
        """Return true in so many of a hundred cases; false where the bytes have ended."""
        return self.byte() * 100 >= (100 - percent) * 256

    def choose(self, choices: Sequence[_Choice]) -> _Choice:
        """Return one of the choices."""
        return choices[self.below(len(choices))]

    def blob(self, longest: int) -> bytes:
        """Return some bytes, at most `longest`, and at most those that are left."""
        size = min(self.below(longest + 1), self.left)
        return self.take(size)

    def cut(self, data: bytes) -> list[bytes]:
        """Return `data` cut into pieces, as a stream may bring it."""
        pieces = []
        while data and self.left:
            size = self.byte() + 1
            pieces.append(data[:size])
            data = data[size:]
        return [*pieces, data] if data else pieces
