"""Pages with known contents, and what has become of them. Touches guest memory."""

from collections.abc import Iterable, Sequence

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.testing.check.checks import Unobservable
from aerostat.testing.check.device.machine import Machine

# Any odd number: no two pages have the same content, and none that of a page of zeros.
_SALT = 0x9E37_79B9_7F4A_7C15
_SHOWN = 3


class Pages:
    """These pages of a machine, by their numbers, each filled with something of its own."""

    def __init__(self, machine: Machine, numbers: Iterable[int]) -> None:
        self.machine = machine
        self.numbers = list(dict.fromkeys(numbers))
        self.fill()

    def fill(self, numbers: Iterable[int] | None = None) -> None:
        """Write to all pages, or to some."""
        for number in self.numbers if numbers is None else numbers:
            self.machine.memory.write(number * PAGE_SIZE, content(number))

    def holes(self, numbers: Iterable[int] | None = None) -> set[int]:
        """Return which pages the host has. To be asked before their contents: that fills holes."""
        chosen = self.numbers if numbers is None else numbers
        return {one for one in chosen if self.machine.transport.is_hole(one * PAGE_SIZE)}

    def changed(self, numbers: Iterable[int] | None = None) -> list[int]:
        """Return which pages do not have what was written to them."""
        chosen = self.numbers if numbers is None else numbers
        return [
            one
            for one in chosen
            if self.machine.memory.read(one * PAGE_SIZE, PAGE_SIZE) != content(one)
        ]

    def released(self, numbers: Sequence[int]) -> list[int]:
        """Return which of these pages the host does not have, though it should."""
        try:
            holes = self.holes(numbers)
        except Unobservable:
            # From inside a guest, a page that was taken is one that is zeros when it comes back.
            changed = {*self.changed(numbers)}
            return [one for one in numbers if one not in changed]
        return [one for one in numbers if one not in holes]

    def taken(self) -> list[int]:
        """Return which pages the host has, where that can be seen, or else those that changed."""
        try:
            holes = sorted(self.holes())
        except Unobservable:
            holes = []
        return holes or self.changed()


def content(number: int) -> bytes:
    """Return what is written to a page."""
    return ((number + 1) * _SALT & (1 << 64) - 1).to_bytes(8, "little") * (PAGE_SIZE // 8)


def shown(numbers: Sequence[int]) -> str:
    """Return some page numbers in words."""
    listed = ", ".join(map(str, numbers[:_SHOWN]))
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return f"page {listed}" if len(numbers) == 1 else f"pages {listed}{more}"
