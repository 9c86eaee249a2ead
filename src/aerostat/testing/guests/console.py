"""A guest's console: what the laboratory asks of it, and what it answers. Touches a socket.

One JSON object a line: a guest says ``{"hello": ...}`` when it is up, is asked ``{"id", "do"}``,
and answers ``{"id", "result"}`` or ``{"id", "error"}``, in whatever order.
"""

import asyncio
import contextlib
import itertools
import json
import socket
from pathlib import Path
from typing import Any

from aerostat.errors import LinkError, PeerError
from aerostat.model.workload import Workload
from aerostat.units import MIB

_PLAYER = "workload"  # the worker that plays it
_MOST_REQUESTS = 16  # under way at once; a terminal loses what goes beyond its 4096 bytes
_LONGEST_LINE = 1 * MIB  # a reply; bounds what a broken guest makes us keep


class Console:
    """The laboratory's end of the console of guest `name`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listener: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._turns = asyncio.Semaphore(_MOST_REQUESTS)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def open(self, end: socket.socket) -> dict[str, Any]:
        """Take our `end`, and return what the guest says of itself when it is up.

        Raises `LinkError` when it ends instead.
        """
        self._reader, self._writer = await asyncio.open_connection(sock=end, limit=_LONGEST_LINE)
        line = await self._reader.readline()
        if not line:
            raise LinkError(f"guest {self._name} ended before it was up")
        hello: dict[str, Any] = json.loads(line)["hello"]
        self._listener = asyncio.create_task(self._listen(self._reader))
        return hello

    async def command(
        self, do: str, *, worker: str | None = None, within: float = 30.0, **arguments: object
    ) -> Any:
        """Have the guest do something, and return its answer.

        Raises `PeerError` where it failed in the guest, `LinkError` where no answer came within
        `within` seconds.
        """
        if self._writer is None or self._listener is None or self._listener.done():
            raise LinkError(f"guest {self._name} is not running", retryable=False)
        number = next(self._numbers)
        request = {"id": number, "do": do, **arguments} | ({"worker": worker} if worker else {})
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within), self._turns:
                self._writer.write(json.dumps(request).encode() + b"\n")
                return await answer
        except TimeoutError as error:
            raise LinkError(f"guest {self._name} did not {do} within {within} s") from error
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        if self._listener is not None:
            await self._listener

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Hand each answer to whoever waits for it, until the guest ends."""
        with contextlib.suppress(OSError, ValueError):
            while line := await reader.readline():
                answer = json.loads(line)
                waiting = self._waiting.get(answer["id"])
                if waiting is None or waiting.done():
                    continue
                if "error" in answer:
                    waiting.set_exception(PeerError(f"guest {self._name}: {answer['error']}"))
                else:
                    waiting.set_result(answer["result"])
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(LinkError(f"guest {self._name} is gone", retryable=False))


class Commanded:
    """A guest that is commanded by its `_console`."""

    _console: Console

    async def command(
        self, do: str, *, worker: str | None = None, within: float = 30.0, **arguments: object
    ) -> Any:
        """Have the guest do something, and return its answer.

        Its other end says what there is: `inside.init`, and `inside.workload` for a `worker`, or
        `aerostat.process_guest.guest`. Raises as `Console.command` does.
        """
        return await self._console.command(do, worker=worker, within=within, **arguments)

    async def counters(self) -> dict[str, dict[str, int]]:
        """Return the guest's own `vmstat` (as /proc has it) and `meminfo` (in bytes)."""
        answer: dict[str, dict[str, int]] = await self.command("counters")
        return answer

    async def play(self, workload: Workload, *, file: Path | None = None, since: float = 0) -> None:
        """Have a worker play `workload` from its second `since` on.

        It reads `file`, the host's or a device of the guest's. A process guest needs none: there,
        reading is modelled.
        """
        plan, path = workload.to_dict(), str(file or "")
        await self.command("end_worker", name=_PLAYER)
        await self.command("play", worker=_PLAYER, workload=plan, file=path, since=since)

    async def report(self) -> dict[str, Any]:
        """Return what came of the workload so far (`inside.workload.Player.report` says what).

        Raises `PeerError` where the worker is gone, for one killed for want of memory.
        """
        report: dict[str, Any] = await self.command("report", worker=_PLAYER)
        return report
