"""One started queue of the balloon, and what a guest can do wrong on it.

Touches guest memory through the queue's ring. Nothing here raises for anything that a guest did:
it is counted, and answered so that the guest's driver can go on (virtio 1.2, 5.5.6).
"""

from collections.abc import Iterator

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.pages import PFN_SIZE, Range, cut_ranges, merge_pfns, merge_ranges
from aerostat.balloon.statistics import Byteorder
from aerostat.virtio.chain import MAX_READ, BadChain, Chain
from aerostat.virtio.memory import BadAddress
from aerostat.virtio.ring import BrokenRing, DeviceSide

# Pages of one step. Linux inflates 256 in one request; a larger request is done in several steps.
STEP_PAGES = 4096

#: What is counted, all of it a guest's doing.
COUNTERS = (
    "bad_addresses",  # buffers that are not in guest memory
    "bad_chains",  # chains that break the rules
    "bad_command_ids",  # hints' command ids that are not 4 bytes, or come a second time
    "bad_features",  # feature sets with bits that were not offered
    "broken_rings",  # rings that broke
    "extra_statistics",  # statistics buffers sent while one was held
    "implausible_actual",  # writes of more `actual` than the guest has pages
    "kept_reports",  # reports of pages that must keep their poison, and so were not taken
    "oversized_buffers",  # buffers of which the excess, or for statistics all, was ignored
    "outside_pages",  # pages inflated, deflated, reported or hinted that are not guest memory
    "stale_hints",  # hints of another round than the current one, or of none, and so not used
    "unkept_hints",  # hints that there was no room to remember
    "useless_reports",  # reports with nothing writable in them
    "useless_statistics",  # statistics buffers with nothing readable in them
)


class Lane:
    """A ring and how far the chain in hand has come.

    On the statistics queue `chain` is the buffer held for the next request. On the others it is
    being worked through in steps, and `awaited` is the event of the latest one that the caller
    has not completed yet.
    """

    __slots__ = ("_counters", "_next", "_steps", "awaited", "broken", "chain", "ring")

    def __init__(self, ring: DeviceSide, counters: dict[str, int]) -> None:
        self.ring = ring
        self.broken = False
        self.chain: Chain | None = None
        self.awaited: object = None
        self._steps: Iterator[list[Range]] = iter(())
        self._next: list[Range] = []
        self._counters = counters

    def begin(self, chain: Chain, steps: Iterator[list[Range]]) -> None:
        """Take `chain` in hand, to be worked through in these steps, or in an empty one."""
        self.chain = chain
        self._steps = steps
        self._next = next(steps, [])

    def step(self) -> tuple[list[Range], bool]:
        """Return the ranges of the next step, and whether it is the last."""
        ranges = self._next
        following = next(self._steps, None)
        self._next = following or []
        return ranges, following is None

    def finish(self) -> None:
        """Have done with the chain in hand."""
        self.chain = None
        self._steps = iter(())

    @property
    def waiting(self) -> bool:
        """Whether the ring has a chain to take."""
        try:
            return not self.broken and self.ring.waiting
        except BrokenRing:
            self._break()
            return False

    def take(self) -> Chain | None:
        """Take the next chain off the ring; None if there is none, or the ring is broken."""
        if self.broken:
            return None
        try:
            return self.ring.pop()
        except BadChain as error:
            # To be given back empty, like any other: a driver that waits for it in its shutdown,
            # as Linux does, must not wait for ever.
            self._counters["bad_chains"] += 1
            return Chain(error.head, (), ())
        except BrokenRing:
            self._break()
            return None

    def read(self, chain: Chain) -> bytes:
        """Return what `chain` says, at most `MAX_READ` bytes; nothing if it is not in memory."""
        if chain.readable_length > MAX_READ:
            self._counters["oversized_buffers"] += 1
        try:
            return chain.read(self.ring.memory)
        except BadAddress:
            self._counters["bad_addresses"] += 1
            return b""

    def pages(self, chain: Chain, byteorder: Byteorder) -> Iterator[list[Range]]:
        """Yield the ranges of the pages that `chain` lists, step by step."""
        payload = self.read(chain)
        size = STEP_PAGES * PFN_SIZE
        for offset in range(0, len(payload), size):
            yield merge_pfns(payload[offset : offset + size], byteorder)

    def ranges(self, chain: Chain) -> Iterator[list[Range]]:
        """Yield the ranges of memory that `chain` lets us write to, step by step."""
        # Buffers as long as the driver likes to say: what is memory of them bounds the work. As
        # addresses again, since the memory table may change from one step to the next.
        pieces, outside = self.ring.memory.clip(merge_ranges(chain.writable))
        self._counters["outside_pages"] += outside // PAGE_SIZE
        ranges = [(piece.region.guest_address + piece.offset, piece.length) for piece in pieces]
        yield from cut_ranges(ranges, STEP_PAGES * PAGE_SIZE)

    def _break(self) -> None:
        self.broken = True
        self._counters["broken_rings"] += 1
