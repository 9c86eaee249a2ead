"""One connection to a QMP monitor, on asyncio (the conversation itself is `aerostat.qmp.client`).

A plain `asyncio.Protocol`, because streams would cost as much again as the rest of a sample.
Commands sent together leave in one write; answers are paired by id. What is buffered is bounded:
a reply by the session's limit, and commands by the rule that a link which once failed to answer
in time is closed.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from aerostat.errors import AerostatError, LinkError, PeerError
from aerostat.qmp.client import ClientSession, Event, Failure, Ready, Reply

# The longest answer asked for here is the list of commands, about 10 KiB. Decoding a mebibyte of
# the worst takes some hundredths of a second, in which all other guests wait.
_MAX_REPLY_BYTES = 1024 * 1024
_PEER_CREDENTIALS = struct.Struct("iII")  # pid, uid, gid: unix(7), SO_PEERCRED


class Ask(NamedTuple):
    """A command to be sent."""

    name: str
    arguments: dict[str, Any] | None = None


class RefusedError(PeerError):
    """The monitor answered a command with an error."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"the monitor refuses: {failure.description} ({failure.error_class})")
        self.failure = failure


class QmpLink(asyncio.Protocol):
    """A connection; made by `open_link`."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._session = ClientSession(_MAX_REPLY_BYTES)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._transport: asyncio.Transport | None = None
        self.negotiated: asyncio.Future[Ready] = loop.create_future()
        self.error: AerostatError | None = None
        """Why the connection has ended; None while it lasts."""
        self._ended = asyncio.Event()
        self.on_event: Callable[[Event], None] = lambda _event: None

    async def ask(self, *commands: Ask) -> list[Any]:
        """Send commands together; return what each returned, in the same order.

        Raises `RefusedError` for the first that was refused, `LinkError` or `PeerError` if the
        connection fails. Answers to a caller that was cancelled are dropped when they come.
        """
        answers = [await answer for answer in self._send(commands)]
        for answer in answers:
            if isinstance(answer, Failure):
                raise RefusedError(answer)
        return answers

    async def try_ask(self, *commands: Ask) -> list[Any]:
        """Do as `ask`, but return a `Failure` in its place instead of raising it."""
        return [await answer for answer in self._send(commands)]

    def close(self, reason: AerostatError | None = None) -> None:
        """End the connection at once; whoever waits for an answer is told the reason."""
        if self.error is not None:
            return
        self.error = reason = reason or LinkError("the connection was closed")
        self._ended.set()
        for answer in self._answers.values():
            _refuse(answer, reason)
        self._answers.clear()
        _refuse(self.negotiated, reason)
        if self._transport is not None:
            self._transport.abort()

    async def wait_ended(self) -> AerostatError:
        """Wait until the connection has ended; return why."""
        await self._ended.wait()
        assert self.error is not None
        return self.error

    @property
    def version(self) -> tuple[int, int, int]:
        """The monitor's version, once the conversation is negotiated."""
        return self.negotiated.result().version

    def peer_pid(self) -> int | None:
        """Return the process that listens at the other end; None if it is not of our namespace."""
        if self._transport is None:
            return None
        channel = self._transport.get_extra_info("socket")
        raw = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
        pid: int = _PEER_CREDENTIALS.unpack(raw)[0]
        return pid or None

    def _send(self, commands: tuple[Ask, ...]) -> list[asyncio.Future[Any]]:
        if self.error is not None:
            raise self.error.with_traceback(None)  # or it would grow with every raise
        loop = asyncio.get_running_loop()
        answers = []
        for command in commands:
            answer: asyncio.Future[Any] = loop.create_future()
            self._answers[self._session.command(command.name, command.arguments)] = answer
            answers.append(answer)
        self._flush()
        return answers

    def _flush(self) -> None:
        data = self._session.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand out what has arrived."""
        if self.error is not None:
            return
        try:
            for message in self._session.receive(data):
                self._take(message)
        except PeerError as error:
            self.close(error)
            return
        self._flush()  # the session may have an answer of its own: the negotiation

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        self.close(LinkError(f"the monitor closed the connection{f': {exc}' if exc else ''}"))

    def _take(self, message: Ready | Reply | Failure | Event) -> None:
        match message:
            case Reply(command_id, value):
                self._answer(command_id, value)
            case Failure(command_id, _, _):
                self._answer(command_id, message)
            case Event():
                self.on_event(message)
            case Ready() if not self.negotiated.done():  # done: whoever opened it was cancelled
                self.negotiated.set_result(message)

    def _answer(self, command_id: int, value: Any) -> None:
        answer = self._answers.pop(command_id)
        if not answer.done():  # done: whoever asked was cancelled
            answer.set_result(value)


def _refuse(waiting: asyncio.Future[Any], reason: AerostatError) -> None:
    if not waiting.done():
        waiting.set_exception(reason)
        waiting.exception()  # perhaps nobody waits any more; asyncio would complain of that


async def open_link(path: str, greeting_timeout: float) -> QmpLink:
    """Connect to the monitor at `path` and negotiate. Raises `LinkError`, `PeerError`."""
    link = await _connect(path)
    try:
        async with asyncio.timeout(greeting_timeout):
            await link.negotiated
    except TimeoutError:
        error = LinkError(
            f"{path} does not greet: another client holds this monitor (it serves one at a time; "
            "give QEMU a second -qmp socket), or it hangs"
        )
        link.close(error)
        raise error from None
    except BaseException:  # cancelled: nobody is left to close it
        link.close()
        raise
    return link


async def _connect(path: str) -> QmpLink:
    """Connect a socket. On unix sockets this is done at once, or not at all (unix(7))."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        channel.connect(path)
        loop = asyncio.get_running_loop()
        _transport, link = await loop.create_unix_connection(QmpLink, sock=channel)
    except BlockingIOError as error:
        channel.close()
        raise LinkError(
            f"{path} takes no more connections: another client holds this monitor; "
            "give QEMU a second -qmp socket"
        ) from error
    except OSError as error:
        channel.close()
        raise LinkError(f"{path}: {error.strerror or error}") from error
    except asyncio.CancelledError:
        channel.close()
        raise
    return link
