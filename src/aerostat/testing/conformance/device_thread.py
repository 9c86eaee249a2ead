"""A whole device in a thread of this process, so that a test can look at it while it serves.

Touches threads, and the device's two sockets.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from threading import Thread

from aerostat.balloon.device import BalloonDevice
from aerostat.device.options import Options
from aerostat.device.server import Server
from aerostat.testing.control_client import ControlClient

_JOIN_SECONDS = 10.0


class ThreadServer(Server):
    """A device server that can run in a thread, where signals cannot be handled."""

    def __init__(self, options: Options, device: BalloonDevice) -> None:
        super().__init__(options)
        device.max_pages = self._guest.device.max_pages
        self._guest.device = device

    def run(self) -> None:
        """Serve until ``quit``."""
        self._door.open()
        try:
            self._loop.run()
        finally:
            self._close()

    def do(self, action: Callable[[], object]) -> None:
        """Have `action` done in the device's thread, at its next turn, and drivers notified."""

        def act() -> None:
            action()
            if self._guest.on_notifications is not None:
                self._guest.on_notifications()

        self._loop.call_soon(act)


class ServedDevice:
    """A device that a thread serves; `socket` is where its guest plugs in."""

    def __init__(self, server: ThreadServer, control: ControlClient, socket: Path) -> None:
        self._server = server
        self.control = control
        self.socket = socket

    def do(self, action: Callable[[], object]) -> None:
        """Have `action` done between two of the device's own, and drivers notified."""
        self._server.do(action)
        self.control.run("query-status")  # a turn of the loop's, and the next one does it
        self.control.run("query-status")


@contextlib.asynccontextmanager
async def serve_in_thread(
    device: BalloonDevice, *, size: int, directory: Path
) -> AsyncIterator[ServedDevice]:
    """Serve `device` to a guest of `size` bytes, with its sockets in `directory`."""
    socket, control = directory / "guest.vhost", directory / "guest.sock"
    server = ThreadServer(Options(str(socket), str(control), size=size), device)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    try:
        with ControlClient(control) as client:
            yield ServedDevice(server, client, socket)
            client.run("quit")
    finally:
        await asyncio.to_thread(thread.join, _JOIN_SECONDS)
    assert not thread.is_alive()
