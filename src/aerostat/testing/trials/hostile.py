"""What hostile guests do: one hangs together with its monitor, the monitor of one tells nonsense.

Touches processes, and sockets in the run directory.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
from pathlib import Path
from typing import Any

from aerostat.errors import LinkError
from aerostat.testing.guests.qemu import QemuGuest
from aerostat.units import GIB

_LONGEST_LINE = 1 << 20


async def hang(guest: QemuGuest, hangs_for: float, goes_for: float) -> None:
    """Stop a guest's QEMU, monitor and all, and let it go on, in turns, until cancelled."""
    try:
        while True:
            await asyncio.sleep(goes_for)
            _signal(guest, signal.SIGSTOP)
            await asyncio.sleep(hangs_for)
            _signal(guest, signal.SIGCONT)
    finally:
        with contextlib.suppress(LinkError):
            _signal(guest, signal.SIGCONT)


def _signal(guest: QemuGuest, number: signal.Signals) -> None:
    if guest.pid is None or not guest.alive:
        raise LinkError(f"guest {guest.name} is gone", retryable=False)
    os.kill(guest.pid, number)


class LyingMonitor:
    """A QMP monitor at `path` that passes everything on to `behind` but the guest's figures.

    The guest's balloon does what it is told, and what it says of its memory cannot be true, or
    could be and is not. `seed` says which lies.
    """

    def __init__(self, path: Path, behind: Path, seed: int = 1) -> None:
        self.path = path
        self.told = 0
        """How many samples were lies."""
        self._behind = behind
        self._chance = random.Random(seed)  # noqa: S311 - a script, not a secret
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        """Hang up."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(self._behind, limit=_LONGEST_LINE)
        ways = (self._carry(reader, ours, lies=False), self._carry(theirs, writer, lies=True))
        for way in ways:
            task = asyncio.create_task(way)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, lies: bool
    ) -> None:
        try:
            while line := await source.readline():
                sink.write(self._lie(line) if lies else line)
        except (OSError, ValueError):
            pass  # the other end hung up
        finally:
            sink.close()

    def _lie(self, line: bytes) -> bytes:
        message = json.loads(line)
        answer = message.get("return")
        if not isinstance(answer, dict) or "stats" not in answer:
            return line
        self.told += 1
        answer["stats"] = self._nonsense(answer["stats"])
        return json.dumps(message).encode() + b"\r\n"

    def _nonsense(self, stats: dict[str, int]) -> dict[str, Any]:
        chance = self._chance
        amount = chance.choice((0, -1, 2**64 - 1, 2**63, 400 * GIB, chance.randrange(1 << 40)))
        lies: list[dict[str, Any]] = [
            dict.fromkeys(stats, amount),
            stats | {"stat-free-memory": amount},
            # Starving, by its own word, and always in need.
            stats | {"stat-available-memory": 0, "stat-free-memory": 0},
            stats | {"stat-alloc-stalls": amount, "stat-major-faults": amount},
            {name: chance.randrange(1 << 64) for name in stats},
            {name: str(value) for name, value in stats.items()},
            {},
        ]
        return chance.choice(lies)
