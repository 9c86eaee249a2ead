"""The answering end of QMP: how a device process is spoken to (QMP specification, "Protocol").

Pure, standard library only; the caller owns the socket and the clock. The session greets, holds
back everything until `qmp_capabilities`, answers what is malformed or unknown in QEMU's words,
and hands over the rest as `Command` tuples, to be answered at once or later, in any order.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from aerostat.errors import PeerError
from aerostat.qmp.framing import Framer, Malformed, OversizeError, encode

# A command is a few hundred bytes; this bounds what a client makes the device hold.
MAX_COMMAND_BYTES = 64 * 1024
# A client that asks and never reads: events are left out at the first bound, and at the second
# it is given up.
MAX_UNSENT_WITH_EVENTS = 64 * 1024
MAX_UNSENT = 1024 * 1024

GENERIC_ERROR: Final = "GenericError"
COMMAND_NOT_FOUND: Final = "CommandNotFound"
DEVICE_NOT_FOUND: Final = "DeviceNotFound"

# Answered by the session itself.
_OWN_COMMANDS = ("qmp_capabilities", "query-commands", "query-version")
_MEMBERS = frozenset(("execute", "arguments", "id"))


class _NoId:
    """The type of `NO_ID`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NO_ID"


# The id of a command that came without one; null is an id like any other.
NO_ID: Final = _NoId()


class Command(NamedTuple):
    """A command to be answered with `ServerSession.reply` or `ServerSession.fail`."""

    name: str
    arguments: dict[str, Any]
    id: Any


class CommandError(PeerError):
    """A command cannot be carried out; the arguments of `ServerSession.fail` say why."""

    def __init__(self, description: str, error_class: str = GENERIC_ERROR) -> None:
        super().__init__(description)
        self.error_class = error_class
        self.description = description


class ServerSession:
    """One client's conversation with a QMP server that knows `commands`.

    `version` is (major, minor, micro) of the server, `package` its name in words. After
    `receive`, send `data_to_send`, and close the connection when `closed` is true.
    """

    __slots__ = ("_commands", "_framer", "_greeting", "_negotiated", "_unsent", "closed")

    def __init__(
        self, commands: Iterable[str], *, version: tuple[int, int, int], package: str
    ) -> None:
        self._commands = frozenset(commands) | frozenset(_OWN_COMMANDS)
        major, minor, micro = version
        self._greeting = {
            "qemu": {"micro": micro, "minor": minor, "major": major},
            "package": package,
        }
        self._framer = Framer(MAX_COMMAND_BYTES)
        self._negotiated = False
        self._unsent = bytearray()
        self.closed = False
        self._send({"QMP": {"version": self._greeting, "capabilities": []}})

    def receive(self, data: bytes) -> list[Command]:
        """Take bytes from the client; return the commands that the caller is to answer."""
        commands: list[Command] = []
        self._framer.feed(data)
        while not self.closed:
            try:
                message = self._framer.next_message()
            except OversizeError as error:
                self.fail(NO_ID, GENERIC_ERROR, str(error))
                self.closed = True
                break
            if message is None:
                break
            if isinstance(message, Malformed):
                self.fail(NO_ID, GENERIC_ERROR, message.description)
                continue
            command = self._check(message)
            if command is not None and not self._answer(command):
                commands.append(command)
        return commands

    def reply(self, command_id: Any, value: Any) -> None:
        """Answer a command: `value` is what it returns (an empty dict for nothing)."""
        self._send_answer({"return": value}, command_id)

    def fail(self, command_id: Any, error_class: str, description: str) -> None:
        """Answer a command with an error."""
        self._send_answer({"error": {"class": error_class, "desc": description}}, command_id)

    def event(
        self, name: str, data: Mapping[str, Any] | None, seconds: int, microseconds: int
    ) -> None:
        """Announce an event that happened at this wall-clock time.

        It is left out while the client has not negotiated or does not read.
        """
        if not self._negotiated or len(self._unsent) > MAX_UNSENT_WITH_EVENTS:
            return
        stamp = {"seconds": seconds, "microseconds": microseconds}
        message: dict[str, Any] = {"timestamp": stamp, "event": name}
        if data is not None:
            message["data"] = dict(data)
        self._send(message)

    def data_to_send(self) -> bytes:
        """Return what is to be sent, and forget it."""
        data = bytes(self._unsent)
        self._unsent.clear()
        return data

    def _check(self, message: dict[str, Any]) -> Command | None:
        """Make a command of a message, or answer what is wrong with it."""
        command_id = message.get("id", NO_ID)
        unexpected = message.keys() - _MEMBERS
        name = message.get("execute")
        arguments = message.get("arguments", {})
        if unexpected:
            problem = f"QMP input member '{min(unexpected)}' is unexpected"
        elif "execute" not in message:
            problem = "QMP input lacks member 'execute'"
        elif not isinstance(name, str):
            problem = "QMP input member 'execute' must be a string"
        elif not isinstance(arguments, dict):
            problem = "QMP input member 'arguments' must be an object"
        else:
            return Command(name, arguments, command_id)
        self.fail(command_id, GENERIC_ERROR, problem)
        return None

    def _answer(self, command: Command) -> bool:
        """Answer what concerns the protocol alone; tell whether it did."""
        name, arguments, command_id = command
        if not self._negotiated and name != "qmp_capabilities":
            problem = "Expecting capabilities negotiation with 'qmp_capabilities'"
            self.fail(command_id, COMMAND_NOT_FOUND, problem)
        elif name not in self._commands:
            problem = f"The command {name} has not been found"
            self.fail(command_id, COMMAND_NOT_FOUND, problem)
        elif name == "qmp_capabilities":
            self._negotiate(arguments, command_id)
        elif name == "query-commands":
            self.reply(command_id, [{"name": known} for known in sorted(self._commands)])
        elif name == "query-version":
            self.reply(command_id, self._greeting)
        else:
            return False
        return True

    def _negotiate(self, arguments: dict[str, Any], command_id: Any) -> None:
        if self._negotiated:
            problem = "Capabilities negotiation is already complete, command ignored"
            self.fail(command_id, COMMAND_NOT_FOUND, problem)
            return
        try:
            wanted = check_arguments(arguments, optional={"enable": list}).get("enable", [])
        except CommandError as error:
            self.fail(command_id, error.error_class, error.description)
            return
        if wanted:
            self.fail(command_id, GENERIC_ERROR, f"Capability {wanted[0]} not available")
            return
        self._negotiated = True
        self.reply(command_id, {})

    def _send_answer(self, message: dict[str, Any], command_id: Any) -> None:
        if command_id is not NO_ID:
            message["id"] = command_id
        self._send(message)

    def _send(self, message: dict[str, Any]) -> None:
        if self.closed:
            return
        self._unsent += encode(message)
        if len(self._unsent) > MAX_UNSENT:
            self.closed = True


_TYPE_NAMES = {int: "integer", str: "string", float: "number", bool: "boolean", list: "array"}


def check_arguments(
    arguments: dict[str, Any],
    required: Mapping[str, type] | None = None,
    optional: Mapping[str, type] | None = None,
) -> dict[str, Any]:
    """Return `arguments` if they are what a command takes; raise `CommandError` otherwise.

    `float` takes integers too; a boolean is neither.
    """
    expected = {**(required or {}), **(optional or {})}
    for name in required or {}:
        if name not in arguments:
            raise CommandError(f"Parameter '{name}' is missing")
    for name, value in arguments.items():
        kind = expected.get(name)
        if kind is None:
            raise CommandError(f"Parameter '{name}' is unexpected")
        accepted = (int, float) if kind is float else kind
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            wanted = _TYPE_NAMES.get(kind, kind.__name__)
            raise CommandError(f"Invalid parameter type for '{name}', expected: {wanted}")
    return arguments
