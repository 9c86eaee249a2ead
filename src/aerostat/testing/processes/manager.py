"""``aerostat run`` in a process of its own, and the other commands as its user calls them.

Touches processes, and the manager's files in the run directory.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aerostat.daemon.snapshot import Snapshot
from aerostat.errors import LinkError
from aerostat.testing.processes.process import LabProcess

_AEROSTAT = (sys.executable, "-m", "aerostat")
_LONGEST_LINE = 1 << 20


class Answer(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


class ManagerProcess(LabProcess):
    """``aerostat run --json`` from `start` to `stop`, for all guests in `directory`.

    `budget` is in bytes, `interval` in seconds. `settings` are lines for the top of its
    configuration file, `connectors` tables for its end, in place of the one that finds all
    sockets in `directory`. Started again, or another one of the same directory and `name`, it
    carries on from the state that it left.
    """

    def __init__(
        self,
        *,
        directory: Path,
        budget: int,
        manage: bool,
        interval: float = 0.25,
        settings: str = "",
        connectors: str = "",
        name: str = "manager",
    ) -> None:
        super().__init__(name, directory=directory)
        self.budget = budget
        self.manage = manage
        self.interval = interval
        self.settings = settings
        self.connectors = connectors
        self.snapshots: list[Snapshot] = []
        """One a tick, since the start."""
        self._socket = directory / f"{name}.api"
        self.state = directory / f"{name}.state"
        self._ended = False
        self._new = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None

    @property
    def journal(self) -> Path:
        """Its journal's file."""
        return self.state / "journal.sqlite"

    @property
    def latest(self) -> Snapshot:
        """The last tick's snapshot."""
        return self.snapshots[-1]

    async def start(self, within: float = 30.0) -> None:
        """Start, and return after the first tick. Raises `LinkError`."""
        config = self.directory / f"{self.name}.toml"
        state = f'state_directory = "{self.state}"'
        config.write_text(f"{self.settings}\n{state}\n{self.connectors}\n")
        self.snapshots.clear()
        self._ended = False
        process = await self._spawn(
            *(*_AEROSTAT, "run", "--json", "--config", config, "--socket", self._socket),
            *(() if self.connectors else ("--qmp", self.directory / "*.sock")),
            *("--interval", str(self.interval)),
            *("--budget", f"{self.budget}B", *(["--manage"] if self.manage else [])),
            environment={**os.environ, "PYTHONUNBUFFERED": "1"},
            output=subprocess.PIPE,
        )
        assert process.stdout is not None
        self._reader = asyncio.create_task(self._read(process.stdout))
        await self.snapshot(lambda _: True, within=within)

    async def snapshot(self, fits: Callable[[Snapshot], bool], *, within: float = 60.0) -> Snapshot:
        """Return the first snapshot from the latest on that `fits`.

        Raises `LinkError` where none comes within `within` seconds, or the manager ends.
        """
        seen = max(0, len(self.snapshots) - 1)
        try:
            async with asyncio.timeout(within), self._new:
                while True:
                    for snapshot in self.snapshots[seen:]:
                        if fits(snapshot):
                            return snapshot
                    seen = len(self.snapshots)
                    if self._ended:
                        raise LinkError(f"the manager has ended; {self.last_words()}")
                    await self._new.wait()
        except TimeoutError as error:
            last = self.snapshots[-1] if self.snapshots else None
            raise LinkError(f"it does not come to that; the last snapshot is {last}") from error

    async def ticks(self, count: int, *, within: float = 60.0) -> list[Snapshot]:
        """Return the next `count` snapshots."""
        first = len(self.snapshots)
        await self.snapshot(lambda _: len(self.snapshots) >= first + count, within=within)
        return self.snapshots[first : first + count]

    async def call(self, command: str, *arguments: str) -> Answer:
        """Run ``aerostat COMMAND`` against this manager, as its user would."""
        return await self.run(command, *arguments, "--socket", str(self._socket))

    async def run(self, command: str, *arguments: str) -> Answer:
        """Run ``aerostat COMMAND`` beside this manager, as its user would."""
        process = await asyncio.create_subprocess_exec(
            *(*_AEROSTAT, command, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return Answer(process.returncode, out.decode(), err.decode())

    async def stop(self, within: float = 10.0) -> int:
        """End it by SIGTERM, and kill it after `within` seconds; return its exit status."""
        await self._end_by(self._terminate, within)
        return await self.exited()

    async def kill(self) -> None:
        """End it at once; what it left stays, for the next start."""
        await super().kill()
        if self._reader is not None:
            await self._reader

    async def _read(self, lines: asyncio.StreamReader) -> None:
        rest = b""
        try:
            while data := await lines.read(_LONGEST_LINE):
                *whole, rest = (rest + data).split(b"\n")
                async with self._new:
                    self.snapshots += [Snapshot.from_json(json.loads(line)) for line in whole]
                    self._new.notify_all()
        finally:
            async with self._new:
                self._ended = True
                self._new.notify_all()
