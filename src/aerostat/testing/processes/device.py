"""A balloon device in a process of its own, for laboratory guests. Touches processes."""

import asyncio
import stat
import sys
from pathlib import Path

from aerostat.errors import LinkError
from aerostat.testing.polling import until
from aerostat.testing.processes.process import LabProcess


class DeviceProcess(LabProcess):
    """``python -m aerostat.device`` from `start` to `stop`.

    `size` is the guest's memory in bytes. `socket` is where the guest plugs in, `control` speaks
    QMP; both are in `directory`. `options` are further options of the device. `generation` is how
    many processes have been this device so far.
    """

    def __init__(
        self, name: str, *, size: int, directory: Path, options: tuple[str, ...] = ()
    ) -> None:
        super().__init__(f"{name}.device", directory=directory)
        self.guest_name = name
        self.size = size
        self.options = options
        self.generation = 1
        self.socket = directory / f"{name}.vhost"
        self.control = directory / f"{name}.sock"

    async def start(self, within: float = 10.0) -> None:
        """Start, and return when both sockets are there. Raises `LinkError`."""
        await self._spawn(
            *(sys.executable, "-m", "aerostat.device"),
            *("--socket", self.socket, "--control", self.control),
            *("--size", f"{self.size}B", "--name", self.guest_name, *self.options),
        )
        try:
            await until(self._is_up, within=within)
        except (TimeoutError, LinkError) as error:
            await self.kill()
            raise LinkError(f"{self.name} did not come up: {self.last_words()}") from error

    async def successor(self, within: float = 10.0) -> "DeviceProcess":
        """Have another process go on in this one's place; return it when this one has ended.

        Raises `LinkError` where this one goes on.
        """
        other = DeviceProcess(
            self.guest_name, size=self.size, directory=self.directory, options=self.options
        )
        other.generation = self.generation + 1
        other.name = f"{self.guest_name}.device.{other.generation}"
        other.log = self.directory / f"{other.name}.log"
        await other._spawn(sys.executable, "-m", "aerostat.device", "--take-over", self.control)
        ended = {asyncio.ensure_future(process.exited()) for process in (self, other)}
        try:
            await asyncio.wait(ended, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in ended:
                waiting.cancel()
        if self.alive or not other.alive:
            await super(DeviceProcess, other).kill()  # the sockets stay: they are this one's
            raise LinkError(f"{other.name} did not take over: {other.last_words()}")
        await super().kill()  # it has ended; its sockets are the other's
        return other

    def _is_up(self) -> bool:
        if not self.alive:
            raise LinkError(f"{self.name} ended")
        return _is_socket(self.socket) and _is_socket(self.control)

    async def stop(self, within: float = 5.0) -> None:
        """End the device by SIGTERM, and kill it after `within` seconds. Stop its guest first."""
        await self._end_by(self._terminate, within)

    async def kill(self) -> None:
        """End the device at once, and remove its sockets."""
        await super().kill()
        for path in (self.socket, self.control):
            path.unlink(missing_ok=True)


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except FileNotFoundError:
        return False
