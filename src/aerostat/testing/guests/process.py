"""Process guests: a memfd for memory, a model for a kernel, and a real balloon driver on it.

They need no user-mode Linux, no QEMU and no root, and some 6 MiB of memory each besides their own.
Touches processes, through the nursery that starts them.
"""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from pathlib import Path

from aerostat.errors import LinkError, PeerError
from aerostat.testing.guests.console import Commanded, Console
from aerostat.testing.processes.nursery import Nursery


class ProcessGuest(Commanded):
    """One guest, from `start` to `stop`; what `UmlGuest` is, without a kernel.

    `size` is its memory in bytes, `device_socket` its balloon device's; `options` are further ones
    of ``python -m aerostat.process_guest``. What it says goes to `log` in `directory`.
    """

    def __init__(
        self,
        name: str,
        *,
        size: int,
        directory: Path,
        device_socket: Path,
        nursery: Nursery,
        options: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.size = size
        self.release = ""
        self.log = directory / f"{name}.log"
        self.pid: int | None = None
        self._arguments = [
            *("--name", name, "--size", f"{size}B", "--socket", str(device_socket), *options)
        ]
        self._nursery = nursery
        self._console = Console(name)
        self._ended: asyncio.Future[int] | None = None

    async def start(self, within: float = 30.0) -> None:
        """Start, and return when its balloon driver is at work. Raises `LinkError`."""
        ours, theirs = socket.socketpair()
        try:
            async with asyncio.timeout(within):
                with theirs:
                    self.pid, self._ended = await self._nursery.start_guest(
                        self._arguments, log=self.log, console=theirs
                    )
                self.release = (await self._console.open(ours))["release"]
        except (TimeoutError, LinkError) as error:
            ours.close()
            await self.kill()
            raise LinkError(
                f"guest {self.name} did not come up: {error}; {self._words()}"
            ) from error

    def _words(self) -> str:
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace").strip()
        return ""

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._ended is not None and not self._ended.done()

    async def exited(self) -> int:
        """Wait for it to end; return its exit status, negative for a signal."""
        assert self._ended is not None, f"{self.name} was never started"
        return await asyncio.shield(self._ended)

    async def stop(self, within: float = 5.0) -> None:
        """End it: ask it to power off, and kill it after `within` seconds."""
        if self.alive:
            with contextlib.suppress(TimeoutError, LinkError, PeerError):
                async with asyncio.timeout(within):
                    await self.command("poweroff", within=within)
                    await self.exited()
        await self.kill()

    async def kill(self) -> None:
        """End it at once."""
        if self.alive and self.pid is not None:
            self._nursery.kill_guest(self.pid)
            await self.exited()
        await self._console.close()
