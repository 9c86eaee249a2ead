"""Guest memory for a case, with canaries before, between and behind its regions. Pure."""

from aerostat.testing.fuzz.source import Source
from aerostat.virtio.memory import GuestMemory, Region

PAGE = 4096
_CANARY = bytes(range(1, 256)) * 17
_GUARD = _CANARY[:PAGE]
_TOP = 1 << 64

#: Spans (guest address, size): one, some that adjoin, some with a hole, some at the very end.
LAYOUTS = (
    ((0, 8 * PAGE), (16 * PAGE, 4 * PAGE)),
    ((0, 12 * PAGE),),
    ((0, 4 * PAGE), (4 * PAGE, 4 * PAGE), (8 * PAGE, 4 * PAGE)),
    ((0, 8 * PAGE), (_TOP - 4 * PAGE, 4 * PAGE)),
    ((0, 8 * PAGE), (1 << 40, 3 * PAGE + 16)),
)
USER_BASE = 0x7E00_0000_0000


class Yard:
    """Guest memory of `spans`, zeroed."""

    def __init__(self, spans: tuple[tuple[int, int], ...] = LAYOUTS[0]) -> None:
        self.spans = spans
        self._whole = bytearray(_GUARD)
        self._guards = [0]
        places = []
        for _, size in spans:
            places.append(len(self._whole))
            self._whole += bytes(size)
            self._guards.append(len(self._whole))
            self._whole += _GUARD
        with memoryview(self._whole) as whole:
            self.memory = GuestMemory(
                Region(address, size, USER_BASE + (address & (1 << 47) - 1), whole[at : at + size])
                for (address, size), at in zip(spans, places, strict=True)
            )

    @classmethod
    def of(cls, source: Source) -> "Yard":
        """Return one of the layouts."""
        return cls(source.choose(LAYOUTS))

    def check(self) -> None:
        """Assert that nothing was written outside of the guest's memory."""
        for at in self._guards:
            assert self._whole[at : at + PAGE] == _GUARD, f"written outside, near {at:#x}"

    def content(self) -> bytes:
        """Return all bytes of the memory."""
        return b"".join(bytes(region.view) for region in self.memory.regions)

    def address(self, source: Source) -> int:
        """Return an address: in a region, at an edge of one, or anywhere."""
        kind = source.byte()
        if kind >= 0xF0:
            return source.number(64)
        start, size = source.choose(self.spans)
        if kind < 0xA0:
            return start + source.below(size)
        edge = start if kind < 0xC0 else start + size
        return (edge + source.byte() - 128) % _TOP

    def inside(self, address: int, length: int) -> list[tuple[int, int]]:
        """Return the parts (address, length) of a range that are memory: the slow, sure way."""
        parts = []
        for start, size in self.spans:
            first, last = max(start, address), min(start + size, address + length)
            if first < last:
                parts.append((first, last - first))
        return parts
