"""A guest in which nothing happens: its kernel owns pages and says what it is told to say.

For tests of links and devices, and as a load of which the guest's own part is next to nothing.
Linux only; standard library only.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.device.loop import Loop
from aerostat.errors import LinkError
from aerostat.process_guest.interface import RESERVED_SIZE, DriverOptions
from aerostat.process_guest.link import DeviceLink
from aerostat.process_guest.memory import GuestMemoryFile

TIMEOUT = 10.0

#: What a kernel says that was told nothing else.
FIGURES: Mapping[int, int] = {Tag.FREE_MEMORY: 1 << 20, Tag.TOTAL_MEMORY: 1 << 30}


class StillKernel:
    """A kernel with the free pages `pfns`, whose `figures` change only if a test changes them.

    Pages are given from the end. `given_back` and `seen` are what came back from the balloon and
    from reports, `hinted` what is kept for the device.
    """

    def __init__(self, pfns: Iterable[int], figures: Mapping[int, int] | None = None) -> None:
        self.free = list(pfns)
        self.figures = FIGURES if figures is None else figures
        self.given_back: list[int] = []
        self.seen: list[tuple[int, int]] = []
        self.hinted: list[int] = []

    def statistics(self) -> Mapping[int, int]:
        """Return the figures."""
        return self.figures

    def take_pages(self, count: int) -> Sequence[int]:
        """Give up to `count` free pages."""
        pages = self.free[-count:]
        del self.free[-count:]
        return pages

    def give_back(self, pfns: Sequence[int]) -> None:
        """Have pages free again."""
        self.free += pfns
        self.given_back += pfns

    def reported(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Remember what was seen."""
        self.seen += ranges

    def hint(self, room: int) -> Sequence[tuple[int, int]]:
        """Hint free pages, one by one."""
        pages = self.take_pages(room)
        self.hinted += pages
        return [(page * PAGE_SIZE, PAGE_SIZE) for page in pages]

    def hints_done(self) -> None:
        """Have free again what was hinted."""
        self.free += self.hinted
        self.hinted.clear()


class StillGuest:
    """A guest on the device at `path`, with the regions `spans` and all their pages to give."""

    def __init__(
        self,
        loop: Loop,
        path: object,
        spans: Sequence[tuple[int, int]],
        options: DriverOptions | None = None,
        *,
        timeout: float = TIMEOUT,
        offset: int = 0,
    ) -> None:
        self.memory = GuestMemoryFile(spans, offset)
        pfns: list[int] = []
        for address, size in spans:
            pfns += range(address // PAGE_SIZE, (address + size) // PAGE_SIZE)
        self.kernel = StillKernel(pfns[RESERVED_SIZE // PAGE_SIZE :])
        self.link = DeviceLink(loop, str(path), self.memory, self.kernel, options, timeout=timeout)

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Run the loop until `condition` holds. Raises `LinkError` if it never does."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            if time.monotonic() > deadline:
                raise LinkError("what was waited for does not happen")
            self.link.run_once(0.05)

    def close(self) -> None:
        """Hang up, and let go of the memory."""
        self.link.close()
        self.memory.close()
