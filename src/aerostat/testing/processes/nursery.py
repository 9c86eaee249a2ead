"""The nursery of process guests, as the laboratory runs it. Touches processes and sockets."""

import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from aerostat.errors import LinkError
from aerostat.testing.processes.process import LabProcess

_LONGEST_PACKET = 1 << 16


class Nursery(LabProcess):
    """``python -m aerostat.process_guest --nursery`` from `start` to `kill`.

    The guests are in its session, and end with it whatever happens.
    """

    def __init__(self, *, directory: Path) -> None:
        super().__init__("nursery", directory=directory)
        self._link: socket.socket | None = None
        self._started: asyncio.Queue[int] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._ends: dict[int, asyncio.Future[int]] = {}

    async def start(self) -> None:
        """Start; returns before it is ready, which nobody need wait for."""
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.setblocking(False)
        with theirs:
            await self._spawn(
                *(sys.executable, "-m", "aerostat.process_guest"),
                # The name says, in a list of processes, whose it and its guests are.
                *("--nursery", str(theirs.fileno()), "--name", str(self.directory / "guests")),
                descriptors=[theirs.fileno()],
            )
        asyncio.get_running_loop().add_reader(self._link, self._listen)

    async def start_guest(
        self, arguments: Sequence[str], *, log: Path, console: socket.socket
    ) -> tuple[int, "asyncio.Future[int]"]:
        """Start a guest with its end of a `console`; return its process and when it has ended.

        The future's result is its exit status, negative for a signal. Raises `LinkError`.
        """
        async with self._turn:
            if self._link is None:
                raise LinkError("the nursery of process guests is not running", retryable=False)
            self._say({"arguments": list(arguments), "log": str(log)}, console)
            process = await self._started.get()
        if process < 0:
            raise LinkError(f"the nursery of process guests has ended: {self.last_words()}")
        return process, self._ends[process]

    def kill_guest(self, process: int) -> None:
        """End a guest at once; that it has ended is told as always.

        The nursery does it, since it knows that the number is not another process's by now.
        """
        self._say({"kill": process})

    async def kill(self) -> None:
        """End it and all its guests at once."""
        self._hang_up()
        await super().kill()

    def _say(self, message: Mapping[str, object], *passed: socket.socket) -> None:
        if self._link is not None:
            with contextlib.suppress(OSError):  # it has ended; `_listen` will see it
                descriptors = [end.fileno() for end in passed]
                socket.send_fds(self._link, [json.dumps(message).encode()], descriptors)

    def _listen(self) -> None:
        assert self._link is not None
        try:
            packet = self._link.recv(_LONGEST_PACKET)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self._hang_up()
            return
        said = json.loads(packet)
        if "started" in said:
            self._ends[said["started"]] = asyncio.get_running_loop().create_future()
            self._started.put_nowait(said["started"])
        else:
            self._end(said["ended"], said["status"])

    def _hang_up(self) -> None:
        if self._link is None:
            return
        asyncio.get_running_loop().remove_reader(self._link)
        self._link.close()
        self._link = None
        self._started.put_nowait(-1)
        if self._session is not None:
            self._session.kill()  # guests do not go on without it
        for process in list(self._ends):
            self._end(process, -signal.SIGKILL)

    def _end(self, process: int, status: int) -> None:
        ended = self._ends.pop(process)
        if not ended.done():
            ended.set_result(status)
