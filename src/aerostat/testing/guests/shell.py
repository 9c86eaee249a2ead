"""Guests whose PID 1 is the shell script ``inside/init.sh``, and what they can be told to do.

Touches the guest's console: the laboratory writes a line, and reads lines until one says what came
of it.
"""

import asyncio
import base64
import re
import shlex
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from aerostat.errors import LinkError, PeerError, UsageError
from aerostat.testing.processes.process import LabGuest
from aerostat.units import MIB

_LONGEST_LINE = 2048  # bytes; a terminal of the guest's holds 4096, and loses what goes beyond
_PIECE = 1200  # bytes of a file that go in one line, in base64


class Ran(NamedTuple):
    """What came of a command in a guest."""

    status: int
    output: str
    """Standard output and standard error, without the last line's end."""


class ShellGuest(LabGuest):
    """A guest that obeys by its console; who starts it opens that."""

    def __init__(self, name: str, *, directory: Path) -> None:
        super().__init__(name, directory=directory)
        self.release = ""
        self._turn = asyncio.Lock()
        self._number = 0

    async def booted(self, within: float = 60.0) -> None:
        """Return when the guest obeys, at its start or when it was reset.

        Raises `LinkError`, and kills the guest, when it does not come up within `within` seconds.
        """
        try:
            async with asyncio.timeout(within):
                self.release = (await self._line()).removeprefix("ready ")
        except (TimeoutError, LinkError) as error:
            await self.kill()
            raise LinkError(f"guest {self.name} did not come up: {self.last_words()}") from error

    @property
    def version(self) -> tuple[int, int]:
        """The version of its Linux, such as (6, 1)."""
        major, minor = self.release.split(".")[:2]
        return int(major), int(minor)

    async def _line(self) -> str:
        assert self._reader is not None
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise LinkError(f"guest {self.name} is gone", retryable=False)
        return line.decode(errors="replace").rstrip()

    async def command(self, do: str, argument: object = "", *, within: float = 60.0) -> list[str]:
        """Have the guest do something (see ``inside/init.sh``), and return the lines it says.

        Raises `PeerError` where it failed in the guest, `LinkError` where it did not answer
        within `within` seconds, after which the guest can no longer be talked to.
        """
        async with self._turn:
            if self._writer is None:
                raise LinkError(f"guest {self.name} is not running", retryable=False)
            self._number += 1
            try:
                self._writer.write(f"{self._number} {do} {argument}\n".encode())
                async with asyncio.timeout(within):
                    return await self._answer(do)
            except (TimeoutError, OSError) as error:
                raise LinkError(f"guest {self.name} did not {do} within {within} s") from error

    async def _answer(self, do: str) -> list[str]:
        lines = []
        # The kernel speaks on the same console, and not only between two lines.
        ends = re.compile(rf"={self._number} (\d+)")
        while (end := ends.search(line := await self._line())) is None:
            lines.append(line)
        if end[1] != "0":
            raise PeerError(f"guest {self.name}: {do} failed: {' | '.join(lines)}")
        return lines

    async def counters(self) -> dict[str, dict[str, int]]:
        """Return the guest's own `vmstat` (as /proc has it) and `meminfo` (in bytes)."""
        vmstat, meminfo = {}, {}
        for line in await self.command("counters"):
            name, value, *unit = line.split()
            if name.endswith(":"):
                meminfo[name[:-1]] = int(value) * (1024 if unit else 1)
            else:
                vmstat[name] = int(value)
        return {"vmstat": vmstat, "meminfo": meminfo}

    async def fill(self, size: int) -> None:
        """Have the guest hold `size` bytes more."""
        await self.command("fill", size // MIB)

    async def free(self) -> None:
        """Have the guest let go of all it holds by `fill`."""
        await self.command("free")

    async def run(self, command: str, *, within: float = 60.0) -> Ran:
        """Run a shell command in the guest, and return what came of it, whatever that is.

        Raises `LinkError` where it does not end within `within` seconds.
        """
        lines = await self.command("shell", _one_line(command), within=within)
        # The command's own last line may have had no end.
        status, output = lines.pop(), lines
        if output and not output[-1]:
            output.pop()
        return Ran(int(status), "\n".join(output))

    async def begin(self, command: str) -> int:
        """Start a program in the guest, in the background, and return its process id."""
        (pid,) = await self.command("begin", _one_line(command))
        return int(pid)

    async def output(self, pid: int) -> str:
        """Return what a program that was begun has said so far."""
        return await self.read(f"/output/{pid}")

    async def running(self, pid: int) -> bool:
        """Return whether a program that was begun still runs."""
        ran = await self.run(f"read -r _ _ state _ </proc/{pid}/stat && test $state != Z")
        return ran.status == 0

    async def ended(self, pid: int, *, within: float = 60.0) -> int:
        """Wait for a program that was begun to end, and return its exit status, as a shell's.

        A program that a signal ended has 128 and the signal's number. Raises `LinkError` where it
        does not end within `within` seconds, after which the guest can no longer be talked to.
        """
        (status,) = await self.command("ended", pid, within=within)
        return int(status)

    async def signal(self, pid: int, name: str = "TERM") -> None:
        """Send a process of the guest's a signal. INT is ignored by programs in the background."""
        await self._must(f"kill -{name} {pid}")

    async def read(self, path: str) -> str:
        """Return what a file of the guest's holds. Raises `PeerError` where it cannot."""
        return await self._must(f"cat {shlex.quote(path)}")

    async def put(self, path: str, data: bytes) -> None:
        """Write a file in the guest. A megabyte takes the better part of a minute."""
        quoted = shlex.quote(path)
        await self._must(f"mkdir -p {shlex.quote(str(PurePosixPath(path).parent))} && : >{quoted}")
        for piece in _pieces(data):
            await self._must(f"echo {piece} | base64 -d >>{quoted}")

    async def _must(self, command: str) -> str:
        ran = await self.run(command)
        if ran.status:
            raise PeerError(f"guest {self.name}: {command[:80]} failed: {ran.output[-300:]}")
        return ran.output


def _one_line(command: str) -> str:
    if "\n" in command or len(command.encode()) > _LONGEST_LINE:
        raise UsageError("a guest's command is one line of at most 2048 bytes; put a script there")
    return command


def _pieces(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), _PIECE):
        yield base64.b64encode(data[start : start + _PIECE]).decode()
