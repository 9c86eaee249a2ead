"""A process of the laboratory: started in a session of its own, recorded, watched, ended whole.

Touches processes and the run directory.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from aerostat.errors import LinkError, PeerError
from aerostat.testing.processes.sessions import Session

_LAST_WORDS = 500  # bytes of a log that an error message repeats


class LabProcess:
    """What guests and devices have in common.

    `name` is unique in the run directory `directory`; what the process says goes to `log` there.
    """

    def __init__(self, name: str, *, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.log = directory / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._session: Session | None = None

    @property
    def pid(self) -> int | None:
        """The process and its session; None before the start."""
        return None if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    async def exited(self) -> int:
        """Wait for the process to end; return its exit status, negative for a signal."""
        assert self._process is not None, f"{self.name} was never started"
        return await self._process.wait()

    async def _end_by(self, ask: Callable[[], Awaitable[object]], within: float) -> None:
        """Have `ask` ask the process to end, and kill it after `within` seconds."""
        if self.alive:
            with contextlib.suppress(TimeoutError, LinkError, PeerError, ProcessLookupError):
                async with asyncio.timeout(within):
                    await ask()
                    await self.exited()
        await self.kill()

    async def _terminate(self) -> None:
        """Ask the process to end by SIGTERM. Never for a user-mode Linux.

        Not by asyncio's `terminate`, which polls, and takes the exit status from who waits for it.
        """
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGTERM)

    async def kill(self) -> None:
        """End the process at once, and all that it forked."""
        if self._session is not None:
            await self._session.end()
        if self._process is not None:
            await self._process.wait()
            Session.forget(self.directory, self.name)

    def last_words(self) -> str:
        """Return the end of what the process said."""
        return self.log.read_text(errors="replace").strip()[-_LAST_WORDS:] or "it said nothing"

    async def _spawn(
        self,
        *command: str | os.PathLike[str],
        descriptors: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        output: int | None = None,
    ) -> asyncio.subprocess.Process:
        """Start it; what it prints goes to `output` instead of the log where that is given."""
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=log if output is None else output,
                stderr=log,
                pass_fds=descriptors,
                start_new_session=True,
                env=environment,
            )
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self._session = Session.of(self._process.pid)
            self._session.record(self.directory, self.name)
        return self._process


class LabGuest(LabProcess):
    """A guest: a process with a console, by which the laboratory commands it."""

    def __init__(self, name: str, *, directory: Path) -> None:
        super().__init__(name, directory=directory)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def _open_console(self, end: socket.socket, longest_line: int = 1 << 16) -> None:
        """Take our `end` of the console of a guest that has been started."""
        self._reader, self._writer = await asyncio.open_connection(sock=end, limit=longest_line)

    async def kill(self) -> None:
        """End the guest at once, and close its console."""
        await super().kill()
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
