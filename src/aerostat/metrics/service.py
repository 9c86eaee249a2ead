"""Metrics for whoever asks: written when they are asked for, once a cycle at most.

Touches what `exposition` touches.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.metrics.tally import Tally

# The part of the time that writing may take. A thread would not help: it would hold the
# interpreter just when the manager wants it.
_PART = 0.25


class Answer(NamedTuple):
    """What to send to who asked."""

    body: bytes
    content_type: str


class Metrics:
    """The metrics of one manager. `watch` goes among its watchers."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._snapshot: Snapshot | None = None
        self._writing = asyncio.Lock()
        self._written: dict[str, bytes] = {}

    def watch(self, snapshot: Snapshot, moves: Sequence[MoveRow]) -> None:
        """Take in one tick."""
        self._tally.watch(snapshot, moves)
        self._snapshot = snapshot
        self._written = {}

    async def answer(self, accept: str) -> Answer:
        """Return the metrics as an Accept header wants them.

        A thousand guests take a quarter of a second of work, spread over a second.
        """
        # Imported when somebody asks: it is not light, and many managers are never asked.
        from aerostat.metrics.exposition import content_type  # noqa: PLC0415

        kind = content_type(accept)
        async with self._writing:
            written = self._written  # that of this cycle, whatever ends meanwhile
            if kind not in written:
                written[kind] = await self._write(kind)
            return Answer(written[kind], kind)

    async def _write(self, kind: str) -> bytes:
        from aerostat.metrics.exposition import pieces  # noqa: PLC0415

        done: list[bytes] = []
        began = time.perf_counter()
        for piece in pieces(self._snapshot, self._tally.copy(), kind):
            done.append(piece)
            took = time.perf_counter() - began
            await asyncio.sleep(took * (1 - _PART) / _PART)
            began = time.perf_counter()
        return b"".join(done)
