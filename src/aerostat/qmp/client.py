"""The asking end of QMP (QMP specification, "Protocol").

Pure, standard library only. The session answers the greeting with `qmp_capabilities` by itself,
numbers the commands, and pairs each reply with its command by id, in whatever order they come.
What a monitor sends is not trusted: anything that QMP does not allow raises `PeerError`, and the
connection is then of no further use.
"""

from typing import Any, NamedTuple

from aerostat.errors import PeerError, UsageError
from aerostat.qmp.framing import LineFramer, Malformed, encode

# What a server may send after a command and before the next. QEMU's own schema is about 200 KiB;
# more than this, or more events, is a monitor gone mad, and would take our time from others.
MAX_REPLY_BYTES = 10 * 1024 * 1024
MAX_EVENTS = 1000
# An error's text goes into messages and logs.
MAX_DESCRIPTION = 500


class Ready(NamedTuple):
    """Negotiation is complete: commands may be sent. `version` is (major, minor, micro)."""

    version: tuple[int, int, int]
    package: str


class Reply(NamedTuple):
    """A command succeeded."""

    id: int
    value: Any


class Failure(NamedTuple):
    """A command was refused."""

    id: int
    error_class: str
    description: str


class Event(NamedTuple):
    """Something happened by itself."""

    name: str
    data: dict[str, Any]


Message = Ready | Reply | Failure | Event


class ClientSession:
    """One conversation with a QMP server: feed it bytes, read messages, send its bytes.

    `limit` bounds the bytes that the server may send after a command and before the next.
    """

    __slots__ = (
        "_events",
        "_framer",
        "_limit",
        "_negotiation",
        "_next_id",
        "_received",
        "_unsent",
        "_version",
        "_waiting",
        "ready",
    )

    def __init__(self, limit: int = MAX_REPLY_BYTES) -> None:
        self._framer = LineFramer()
        self._limit = limit
        self._received = 0
        self._events = 0
        self._next_id = 0
        self._negotiation: int | None = None
        self._version: Ready | None = None
        self._waiting: set[int] = set()
        self._unsent = bytearray()
        self.ready = False

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> int:
        """Queue a command; return the id that its reply will carry.

        Raises `UsageError` before the session is ready.
        """
        if not self.ready:
            raise UsageError(f"{name} cannot be sent before QMP's negotiation is complete")
        return self._queue(name, arguments)

    def _queue(self, name: str, arguments: dict[str, Any] | None) -> int:
        command_id = self._next_id
        self._next_id += 1
        self._waiting.add(command_id)
        self._received = self._events = 0
        message: dict[str, Any] = {"execute": name, "id": command_id}
        if arguments is not None:
            message["arguments"] = arguments
        self._unsent += encode(message)
        return command_id

    def data_to_send(self) -> bytes:
        """Return what is to be sent, and forget it."""
        data = bytes(self._unsent)
        self._unsent.clear()
        return data

    def receive(self, data: bytes) -> list[Message]:
        """Take bytes from the server; return what they say. Raises `PeerError`."""
        self._received += len(data)
        if self._received > self._limit:
            raise PeerError(f"the monitor sends more than {self._limit} bytes at a time")
        self._framer.feed(data)
        messages: list[Message] = []
        while (raw := self._framer.next_message()) is not None:
            if isinstance(raw, Malformed):
                raise PeerError(f"the monitor does not speak QMP: {raw.description}")
            message = self._read(raw)
            if message is not None:
                messages.append(message)
        return messages

    def _read(self, raw: dict[str, Any]) -> Message | None:
        if self._version is None:
            self._version = _read_greeting(raw)
            self._negotiation = self._queue("qmp_capabilities", None)
            return None
        if "event" in raw:
            self._events += 1
            if self._events > MAX_EVENTS:
                raise PeerError(f"the monitor sends more than {MAX_EVENTS} events at a time")
            return _read_event(raw)
        command_id = self._pair(raw)
        if "return" in raw:
            message: Reply | Failure = Reply(command_id, raw["return"])
        else:
            message = _read_failure(command_id, raw)
        if command_id != self._negotiation:
            return message
        if isinstance(message, Failure):
            raise PeerError(f"the monitor refuses to negotiate: {message.description}")
        self.ready = True
        return self._version

    def _pair(self, raw: dict[str, Any]) -> int:
        """Return the id of the command that `raw` answers."""
        command_id = raw.get("id")
        if type(command_id) is not int or command_id not in self._waiting:
            raise PeerError("the monitor answers a command that was not sent")
        self._waiting.remove(command_id)
        return command_id


def _read_greeting(raw: dict[str, Any]) -> Ready:
    match raw:
        case {
            "QMP": {
                "version": {
                    "qemu": {"major": int(major), "minor": int(minor), "micro": int(micro)},
                    "package": str(package),
                },
            }
        }:
            return Ready((major, minor, micro), package[:MAX_DESCRIPTION])
    raise PeerError("the monitor does not greet as QMP does")


def _read_event(raw: dict[str, Any]) -> Event:
    match raw:
        case {"event": str(name), "data": dict(data)}:
            return Event(name, data)
        case {"event": str(name)} if "data" not in raw:
            return Event(name, {})
    raise PeerError("the monitor sends an event that QMP does not allow")


def _read_failure(command_id: int, raw: dict[str, Any]) -> Failure:
    match raw:
        case {"error": {"class": str(error_class), "desc": str(description)}}:
            return Failure(command_id, error_class[:MAX_DESCRIPTION], description[:MAX_DESCRIPTION])
    raise PeerError("the monitor sends a reply that QMP does not allow")
