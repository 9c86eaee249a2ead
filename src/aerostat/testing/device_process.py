"""A balloon device in a process of its own, for laboratory guests. Touches processes."""

import asyncio
import contextlib
import stat
import subprocess
import sys
from pathlib import Path

from aerostat.errors import LinkError
from aerostat.testing.sessions import Session

_CHECK_EVERY = 0.01


class DeviceProcess:
    """``python -m aerostat.device`` from `start` to `stop`.

    `size` is the guest's memory in bytes. `socket` is where the guest plugs in, `control` speaks
    QMP; both are in `directory`, and so is the log.
    """

    def __init__(self, name: str, *, size: int, directory: Path) -> None:
        self.name = name
        self.size = size
        self.directory = directory
        self.socket = directory / f"{name}.vhost"
        self.control = directory / f"{name}.sock"
        self.log = directory / f"{name}.device.log"
        self._process: asyncio.subprocess.Process | None = None
        self._session: Session | None = None

    @property
    def pid(self) -> int | None:
        """The number of the device's process."""
        return None if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the device's process runs."""
        return self._process is not None and self._process.returncode is None

    async def start(self, within: float = 10.0) -> None:
        """Start, and return when both sockets are there. Raises `LinkError`."""
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "aerostat.device"),
                *("--socket", self.socket, "--control", self.control),
                *("--size", f"{self.size}B", "--name", self.name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._session = Session.of(self._process.pid)
        self._session.record(self.directory, f"{self.name}.device")
        try:
            async with asyncio.timeout(within):
                await self._come_up()
        except (TimeoutError, LinkError) as error:
            await self.kill()
            raise LinkError(f"device {self.name} is not up: {self._last_words()}") from error

    async def _come_up(self) -> None:
        while not (_is_socket(self.socket) and _is_socket(self.control)):
            if not self.alive:
                raise LinkError(f"device {self.name} ended")
            await asyncio.sleep(_CHECK_EVERY)

    async def exited(self) -> int:
        """Wait for the device's end; return its exit status."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self, within: float = 5.0) -> None:
        """End the device by SIGTERM, and kill it after `within` seconds. Stop its guest first."""
        if self._process is not None and self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self.exited()
        await self.kill()

    async def kill(self) -> None:
        """End the device at once, and remove what it left."""
        if self._process is None or self._session is None:
            return
        await self._session.end()
        await self._process.wait()
        for path in (self.socket, self.control):
            path.unlink(missing_ok=True)
        Session.forget(self.directory, f"{self.name}.device")

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace").strip()[-500:] or "it said nothing"


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except FileNotFoundError:
        return False
