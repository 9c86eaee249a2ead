"""A QMP monitor that can be made to misbehave: a scripted QEMU with a balloon (asyncio).

It runs in the test's own event loop, on a unix socket. Touches that socket.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aerostat.qmp.server import Command as Asked
from aerostat.qmp.server import CommandError, ServerSession
from aerostat.units import MIB

#: How QEMU shows a statistic that the guest has not sent.
ABSENT = (1 << 64) - 1
#: Where the balloon is in the object tree.
PATH = "/machine/peripheral/balloon0"

Misbehaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]
_Handler = Callable[["FakeMonitor", dict[str, Any]], Any]


class FakeMonitor:
    """A monitor at `path`, by default a well-behaved QEMU; a test changes its fields. Sizes: bytes.

    `answers` has what a command returns in place of the usual: a value, or a function of the
    monitor and the arguments, and an exception is a refusal. `misbehave` has what is done with the
    connection in place of answering a command.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[tuple[str, dict[str, Any]]] = []
        """All commands so far, with their arguments."""
        self.answers: dict[str, Any] = {}
        self.misbehave: dict[str, Misbehaviour] = {}
        self.version = (7, 2, 0)
        self.greets = True
        self.connections = 0
        self.running = True
        self.max_size = 512 * MIB
        self.guest_size = 512 * MIB
        self.interval = 0
        self.last_update = 0
        self.statistics: dict[str, Any] = {"stat-free-memory": 7 * MIB, "stat-swap-in": ABSENT}
        self.guest_answers = True
        """Whether the guest makes new figures when it is asked."""
        self.answers_after = 0.0
        """How long it takes to, in seconds."""
        self.obeys = True
        """Whether its balloon follows its target, at once."""
        self.disks: list[tuple[int, int]] = []
        """What has been read from each disk: bytes, requests."""
        self.writer: asyncio.StreamWriter | None = None
        self._session: ServerSession | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def key(self) -> str:
        """The key under which a `QmpConnector` knows the guest."""
        return f"qmp:{self.path}"

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        """Cut all connections, and remove the socket."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self.path.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Return the names of all commands so far."""
        return [name for name, _ in self.asked]

    def fire(self) -> None:
        """Have the guest asked for figures, as QEMU's timer does."""
        if self.guest_answers:
            asyncio.get_running_loop().call_later(self.answers_after, self.update)

    def update(self) -> None:
        """Have the guest send figures."""
        self.last_update += 1

    def event(self, name: str, data: Mapping[str, Any] | None = None) -> None:
        """Tell the client, which must be there, of an event."""
        assert self._session is not None
        assert self.writer is not None
        self._session.event(name, dict(data or {}), 1, 2)
        self.writer.write(self._session.data_to_send())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.writer = writer
        commands = {*_COMMANDS, *self.answers}
        self._session = session = ServerSession(commands, version=self.version, package="fake")
        try:
            if not self.greets:
                await asyncio.Event().wait()
            while not session.closed:
                writer.write(session.data_to_send())
                data = await reader.read(65536)
                if not data:
                    break
                for command in session.receive(data):
                    await self._answer(session, command, writer)
        except (asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _answer(
        self, session: ServerSession, command: Asked, writer: asyncio.StreamWriter
    ) -> None:
        self.asked.append((command.name, command.arguments))
        if command.name in self.misbehave:
            writer.write(session.data_to_send())
            await self.misbehave[command.name](writer)
            return
        answer = self.answers.get(command.name, _COMMANDS.get(command.name))
        if callable(answer):
            answer = answer(self, command.arguments)
        if isinstance(answer, CommandError):
            session.fail(command.id, answer.error_class, str(answer))
        elif isinstance(answer, Exception):
            session.fail(command.id, "GenericError", str(answer))
        else:
            session.reply(command.id, answer)


def _qom_list(_monitor: FakeMonitor, arguments: dict[str, Any]) -> Any:
    contents = [("type", "string")]
    if arguments["path"] == "/machine/peripheral":
        contents += [("net0", "child<virtio-net-pci>"), ("balloon0", "child<virtio-balloon-pci>")]
    return [{"name": name, "type": kind} for name, kind in contents]


def _qom_get(monitor: FakeMonitor, arguments: dict[str, Any]) -> Any:
    properties: dict[str, Any] = {
        "guest-stats": {"stats": monitor.statistics, "last-update": monitor.last_update},
        "guest-stats-polling-interval": monitor.interval,
        "deflate-on-oom": True,
        "free-page-reporting": False,
    }
    name = arguments["property"]
    if arguments["path"] != PATH or name not in properties:
        return CommandError("not found", "DeviceNotFound")
    return properties[name]


def _qom_set(monitor: FakeMonitor, arguments: dict[str, Any]) -> Any:
    fires = monitor.interval == 0 and arguments["value"]
    monitor.interval = arguments["value"]
    if fires:
        monitor.fire()
    return {}


def _balloon(monitor: FakeMonitor, arguments: dict[str, Any]) -> Any:
    if monitor.obeys:
        monitor.guest_size = min(arguments["value"], monitor.max_size)
    return {}


def _query_blockstats(monitor: FakeMonitor, _: dict[str, Any]) -> Any:
    return [{"stats": {"rd_bytes": size, "rd_operations": count}} for size, count in monitor.disks]


def _query_memory(monitor: FakeMonitor, _: dict[str, Any]) -> Any:
    return {"base-memory": monitor.max_size - MIB, "plugged-memory": MIB}


_COMMANDS: dict[str, Mapping[str, Any] | _Handler] = {
    "query-name": {"name": "alpha"},
    "query-status": lambda monitor, _: {"running": monitor.running, "status": "running"},
    "qom-list": _qom_list,
    "qom-get": _qom_get,
    "qom-set": _qom_set,
    "balloon": _balloon,
    "query-balloon": lambda monitor, _: {"actual": monitor.guest_size},
    "query-blockstats": _query_blockstats,
    "query-memory-size-summary": _query_memory,
}
