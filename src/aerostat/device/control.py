"""The control socket: several QMP clients at once, none of which can hold up another.

Touches the listening socket and its connections; what commands mean is in
`aerostat.device.commands`, the protocol in `aerostat.qmp.server`. Standard library only.
"""

import socket
import time
from collections.abc import Callable
from typing import Any

from aerostat import __version__
from aerostat.device.commands import HAND_OVER, Commands
from aerostat.device.loop import READ, WRITE, Loop, Timer
from aerostat.device.sockets import Door, Listener
from aerostat.qmp.server import Command, CommandError, ServerSession

# A manager, an operator, some scripts; beyond that, connections are closed at once. The bound
# protects the table of descriptors, which the front-end needs too.
MAX_CLIENTS = 16

READ_BYTES = 16 * 1024

# As QEMU limits this event: the first at once, then the latest once in this time.
EVENT_SECONDS = 1.0

_VERSION = tuple(int(part) for part in __version__.split(".")[:3])


class Control:
    """Answers on a listening socket until it is closed.

    `on_hand_over` is given the connection of a client that is to go on in this process's place.
    """

    def __init__(
        self,
        loop: Loop,
        listener: Listener,
        commands: Commands,
        on_hand_over: Callable[[socket.socket], None],
    ) -> None:
        self.on_hand_over = on_hand_over
        self._loop = loop
        self._commands = commands
        self._clients: set[_Client] = set()
        self._quiet: Timer | None = None
        self._change_due = False
        self._door = Door(loop, listener, self._let_in)
        self._door.open()

    def balloon_changed(self) -> None:
        """Tell every client, soon, what the balloon's size has become."""
        if self._quiet is not None and self._quiet.pending:
            self._change_due = True
            return
        self._change_due = False
        data = self._commands.balloon_change()
        if data is not None:
            for client in list(self._clients):
                client.announce("BALLOON_CHANGE", data)
        self._quiet = self._loop.call_later(EVENT_SECONDS, self._change_again)

    def close(self) -> None:
        """Send what can be sent at once, and close every connection; the listener is not ours."""
        self._door.shut()
        for client in list(self._clients):
            client.close()

    def _change_again(self) -> None:
        if self._change_due:
            self.balloon_changed()

    def _let_in(self, connection: socket.socket) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            connection.close()
            return
        client = _Client(
            self._loop, connection, self._commands, self._clients.discard, self.on_hand_over
        )
        self._clients.add(client)
        client.start()


class _Client:
    """One connection of the control socket."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        commands: Commands,
        on_closed: Callable[["_Client"], None],
        on_hand_over: Callable[[socket.socket], None],
    ) -> None:
        self._loop = loop
        self._socket = connection
        self._commands = commands
        self._on_closed = on_closed
        self._on_hand_over = on_hand_over
        major, minor, micro = _VERSION
        self._session = ServerSession(
            commands.names, version=(major, minor, micro), package="aerostat"
        )
        self._unsent = b""
        self._closed = False
        connection.setblocking(False)

    def start(self) -> None:
        """Greet."""
        self._loop.watch(self._socket.fileno(), READ, self._ready)
        self._send()

    def announce(self, event: str, data: dict[str, Any]) -> None:
        """Send an event."""
        seconds, rest = divmod(time.time(), 1)
        self._session.event(event, data, int(seconds), int(rest * 1_000_000))
        self._send()

    def close(self) -> None:
        """End the connection."""
        if not self._closed:
            self._closed = True
            self._loop.unwatch(self._socket.fileno())
            self._socket.close()
            self._on_closed(self)

    def _ready(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            data = None
        except OSError:
            self.close()
            return
        if data == b"":
            self.close()
            return
        for command in self._session.receive(data) if data else ():
            if self._closed:
                return
            self._run(command)
        self._send()

    def _run(self, command: Command) -> None:
        if command.name == HAND_OVER:
            self._hand_over(command)
            return
        try:
            self._commands.run(
                command.name, command.arguments, lambda value: self._answer(command, value)
            )
        except CommandError as error:
            self._session.fail(command.id, error.error_class, error.description)

    def _hand_over(self, command: Command) -> None:
        """Answer, and speak no more QMP on this connection."""
        self._session.reply(command.id, {})
        self._send()
        if self._unsent or self._closed:  # it does not read
            self.close()
            return
        self._closed = True
        self._loop.unwatch(self._socket.fileno())
        self._on_closed(self)
        self._on_hand_over(self._socket)

    def _answer(self, command: Command, value: Any) -> None:
        # A sample may arrive after the client that asked for it has gone.
        if not self._closed:
            self._session.reply(command.id, value)
            self._send()

    def _send(self) -> None:
        """Send what the socket takes; the session gives up a client that takes too little."""
        while not self._closed:
            self._unsent = self._unsent or self._session.data_to_send()
            if not self._unsent:
                break
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                break
            except OSError:
                self.close()
                return
            self._unsent = self._unsent[sent:]
        if self._closed:
            return
        if self._session.closed:
            self.close()
            return
        self._loop.watch(self._socket.fileno(), READ | (WRITE if self._unsent else 0), self._ready)
