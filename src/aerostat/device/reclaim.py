"""What a guest gives goes back to the host: holes in its memory files, in whole blocks.

Touches the files through `aerostat.device.memory`. Implements when a device may change a page
(virtio 1.2, 5.5.6.1, 5.5.6.5 and 5.5.6.7): always before the request is acknowledged, which
whoever calls this does afterwards. Standard library only.

Where the host's pages are larger than the balloon's 4096 bytes (hugetlbfs), the balloon's part of
each is remembered over requests until all of it is there. Only with MUST_TELL_HOST: a driver that
need not tell may use a page again before it is deflated, and a hole that is punched for a later
request would take what it wrote. Then what one request brings counts by itself.
"""

from collections.abc import Sequence

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.blocks import BalloonBlocks
from aerostat.balloon.events import Deflate, Hint, Inflate, Report
from aerostat.device.log import Log
from aerostat.device.memory import MappedMemory, MemoryFile
from aerostat.device.punch import can_punch_mapped, punch_hole, punch_mapped
from aerostat.virtio.memory import Piece

#: What is counted.
COUNTERS = (
    "punches",  # system calls that gave inflated pages back
    "punched_bytes",
    "report_punches",  # system calls that gave reported pages back
    "reported_bytes",
    "hint_punches",  # system calls that gave hinted pages back
    "discarded_bytes",
    "failed_punches",  # system calls that the file system refused
)


class Reclaim:
    """Gives back what the guest behind `memory` gives, and counts it in `counters`."""

    def __init__(self, counters: dict[str, int], log: Log) -> None:
        self._counters = counters
        self._log = log
        self._memory: MappedMemory | None = None
        self._blocks: dict[MemoryFile, BalloonBlocks] = {}
        self.by_address = can_punch_mapped()
        """Whether the pages of a request can go with one system call."""
        self._mapped: dict[int, int] = {}

    def use_memory(self, memory: MappedMemory | None) -> None:
        """Work on this memory from now on."""
        before = {} if self._memory is None else self._memory.spans()
        after = {} if memory is None else memory.spans()
        # Memory that was away may have come back as something else.
        self._blocks = {
            file: blocks
            for file, blocks in self._blocks.items()
            if file in after and before.get(file) == after[file]
        }
        self._memory = memory
        self._mapped = memory.page_by_page() if memory is not None and self.by_address else {}

    def forget(self) -> None:
        """Have an empty balloon: the driver has been reset."""
        self._blocks.clear()

    def state(self) -> list[list[tuple[int, str]] | None]:
        """Return what is in the balloon of each region's file, once for each file."""
        told: set[MemoryFile] = set()
        state: list[list[tuple[int, str]] | None] = []
        for region in self._memory.regions if self._memory else ():
            blocks = self._blocks.get(region.file)
            state.append(None if blocks is None or region.file in told else blocks.state())
            told.add(region.file)
        return state

    def restore(self, state: Sequence[Sequence[tuple[int, str]] | None]) -> None:
        """Go on where another was, by its `state`, with the same regions in the same order."""
        for region, blocks in zip(self._memory.regions if self._memory else (), state, strict=True):
            if blocks and region.file.block_size > PAGE_SIZE:
                self._blocks_of(region.file).restore(blocks)

    def inflate(self, event: Inflate, *, told: bool) -> None:
        """Give inflated pages back. `told` is whether the driver must tell before it uses them."""
        pieces = () if self._punch_mapped(event.pieces) else event.pieces
        for piece in pieces:
            file, start, end = self._locate(piece)
            if file.block_size > PAGE_SIZE:
                start, end = self._blocks_of(file).add(start, end)
            else:
                start, end = _whole(start, end, file.block_size)
            self._punch(piece, start, end, "punches", "punched_bytes")
        if event.last and not told:
            self.forget()

    def deflate(self, event: Deflate) -> None:
        """Remember that these pages are in the balloon no more."""
        if not self._blocks:
            return
        for piece in event.pieces:
            file, start, end = self._locate(piece)
            if file in self._blocks:
                self._blocks[file].remove(start, end)

    def report(self, event: Report) -> None:
        """Give reported pages back: blocks that are free as a whole, and now."""
        for piece in event.pieces:
            file, start, end = self._locate(piece)
            start, end = _whole(start, end, file.block_size)
            self._punch(piece, start, end, "report_punches", "reported_bytes")

    def discard(self, event: Hint) -> None:
        """Give hinted pages back. The guest must not use them before it is told DONE (5.5.6.5.2).

        It may by the specification, and nobody here can see it: that is for the operator to know.
        """
        for piece in event.pieces:
            file, start, end = self._locate(piece)
            start, end = _whole(start, end, file.block_size)
            self._punch(piece, start, end, "hint_punches", "discarded_bytes")

    def _locate(self, piece: Piece) -> tuple[MemoryFile, int, int]:
        """Return the file in which a piece lies, and where it begins and ends there."""
        assert self._memory is not None
        start = piece.region.file_offset + piece.offset
        return self._memory.file_of(piece), start, start + piece.length

    def _blocks_of(self, file: MemoryFile) -> BalloonBlocks:
        blocks = self._blocks.get(file)
        if blocks is None:
            blocks = self._blocks[file] = BalloonBlocks(file.block_size)
        return blocks

    def _punch_mapped(self, pieces: list[Piece]) -> bool:
        """Give inflated pages back all at once; return false where they must go one by one."""
        spans: list[int] = []
        for region, offset, length in pieces:
            base = self._mapped.get(region.file)
            if base is None:
                return False
            spans += (base + offset, length)
        try:
            self._counters["punches"] += punch_mapped(spans)
        except OSError:
            return False  # it does no harm to punch again what is a hole already
        self._counters["punched_bytes"] += sum(spans[1::2])
        return True

    def _punch(self, piece: Piece, start: int, end: int, calls: str, size: str) -> None:
        if start >= end:
            return
        self._counters[calls] += 1
        try:
            punch_hole(piece.region.file, start, end - start)
        except OSError as error:
            # The guest has given the pages all the same; only the host gains nothing.
            self._counters["failed_punches"] += 1
            self._log(f"cannot give memory back: {error}")
        else:
            self._counters[size] += end - start


def _whole(start: int, end: int, block_size: int) -> tuple[int, int]:
    """Return the span of the whole blocks in a span: what is left of a block may be in use."""
    return -(-start // block_size) * block_size, end // block_size * block_size
