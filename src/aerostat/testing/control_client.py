"""A QMP client that blocks, for tests of a device's control socket.

Touches one socket. Everything that waits gives up after `TIMEOUT` seconds with `LinkError`.
"""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aerostat.errors import AerostatError, LinkError
from aerostat.qmp.client import ClientSession, Event, Failure, Message, Reply
from aerostat.testing.closing import Closing

TIMEOUT = 10.0

#: Where a device process has its balloon.
BALLOON = "/machine/peripheral/balloon0"


class CommandFailed(AerostatError):
    """The device refused a command."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.error_class}: {failure.description}")
        self.error_class = failure.error_class


class ControlClient(Closing):
    """A negotiated connection to the control socket at `path`; `events` are those that came."""

    def __init__(self, path: Path) -> None:
        self.events: list[Event] = []
        self._session = ClientSession()
        self._replies: dict[int, Reply | Failure] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(TIMEOUT)
        try:
            self._socket.connect(str(path))
            while not self._session.ready:
                self._receive()
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()

    def start(self, name: str, **arguments: Any) -> int:
        """Send a command; return its id, for `finish`."""
        command_id = self._session.command(name, arguments)
        self._socket.sendall(self._session.data_to_send())
        return command_id

    def finish(self, command_id: int) -> Any:
        """Return what a command answers. Raises `CommandFailed`."""
        while command_id not in self._replies:
            self._receive()
        reply = self._replies.pop(command_id)
        if isinstance(reply, Failure):
            raise CommandFailed(reply)
        return reply.value

    def run(self, name: str, **arguments: Any) -> Any:
        """Carry out a command."""
        return self.finish(self.start(name, **arguments))

    def sample(self, timeout: float = 5.0) -> dict[str, Any]:
        """Return a sample, fresh if the guest answers within `timeout` seconds."""
        sample: dict[str, Any] = self.run("aerostat-sample", timeout=timeout)
        return sample

    def get(self, name: str) -> Any:
        """Return a property of the balloon."""
        return self.run("qom-get", path=BALLOON, property=name)

    def set(self, name: str, value: Any) -> None:
        """Set a property of the balloon."""
        self.run("qom-set", path=BALLOON, property=name, value=value)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds, which may look at `events` or run commands."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            if time.monotonic() > deadline:
                raise LinkError("what was waited for does not happen")
            time.sleep(0.01)
            self.run("query-status")  # whatever came before its answer is in `events` then

    def _receive(self) -> None:
        try:
            data = self._socket.recv(65536)
        except TimeoutError as error:
            raise LinkError("the control socket does not answer") from error
        if not data:
            raise LinkError("the control socket was closed", retryable=False)
        for message in self._session.receive(data):
            self._sort(message)
        # Nothing must not be sent: where the other end has gone, even that is an error.
        if unsent := self._session.data_to_send():
            self._socket.sendall(unsent)

    def _sort(self, message: Message) -> None:
        if isinstance(message, Event):
            self.events.append(message)
        elif isinstance(message, Reply | Failure):
            self._replies[message.id] = message
