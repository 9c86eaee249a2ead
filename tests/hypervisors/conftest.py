"""Monitors that can be made to misbehave, in the test's own process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aerostat.errors import AerostatError
from aerostat.hypervisors import qmp
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.qmp import QmpConnector
from aerostat.qmp.server import Command, ServerSession

MIB = 1 << 20
ABSENT = (1 << 64) - 1
PATH = "/machine/peripheral/balloon0"

Handler = Callable[["FakeMonitor", Command], Awaitable[Any]]


class FakeMonitor:
    """A monitor on a unix socket, by default a well-behaved QEMU with a balloon.

    `answers` overrides what a command returns: a value, or a function of its arguments.
    `misbehave` is called with the writer in place of answering the named command.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {}
        self.misbehave: dict[str, Callable[[asyncio.StreamWriter], Awaitable[None]]] = {}
        self.greets = True
        self.connections = 0
        self.max_size = 512 * MIB
        self.guest_size = 512 * MIB
        self.interval = 0
        self.last_update = 0
        self.statistics: dict[str, Any] = {"stat-free-memory": 7 * MIB, "stat-swap-in": ABSENT}
        self.guest_answers = True
        """Whether the guest makes new figures when it is asked."""
        self.answers_after = 0.0
        self.session: ServerSession | None = None
        self.writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def key(self) -> str:
        return f"qmp:{self.path}"

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self.path.unlink(missing_ok=True)

    def names(self) -> list[str]:
        return [name for name, _ in self.asked]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.writer = writer
        commands = {*COMMANDS, *self.answers}
        self.session = session = ServerSession(commands, version=(7, 2, 0), package="fake")
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
        self, session: ServerSession, command: Command, writer: asyncio.StreamWriter
    ) -> None:
        self.asked.append((command.name, command.arguments))
        if command.name in self.misbehave:
            writer.write(session.data_to_send())
            await self.misbehave[command.name](writer)
            return
        answer = self.answers.get(command.name, COMMANDS.get(command.name))
        if callable(answer):
            answer = answer(self, command.arguments)
        if isinstance(answer, Exception):
            session.fail(command.id, "GenericError", str(answer))
        else:
            session.reply(command.id, answer)

    def fire(self) -> None:
        """Have the guest asked for figures, as QEMU's timer does."""
        if self.guest_answers:
            asyncio.get_running_loop().call_later(self.answers_after, self.update)

    def update(self) -> None:
        """Have the guest send figures."""
        self.last_update += 1

    def balloon_change(self, actual: Any) -> None:
        assert self.session is not None
        assert self.writer is not None
        self.session.event("BALLOON_CHANGE", {"actual": actual}, 1, 2)
        self.writer.write(self.session.data_to_send())


def _qom_list(_monitor: FakeMonitor, arguments: dict[str, Any]) -> Any:
    if arguments["path"] == "/machine/peripheral":
        return [
            {"name": "type", "type": "string"},
            {"name": "net0", "type": "child<virtio-net-pci>"},
            {"name": "balloon0", "type": "child<virtio-balloon-pci>"},
        ]
    return [{"name": "type", "type": "string"}]


def _qom_get(monitor: FakeMonitor, arguments: dict[str, Any]) -> Any:
    if arguments["path"] != PATH:
        return ValueError("not found")
    if arguments["property"] == "guest-stats":
        return {"stats": monitor.statistics, "last-update": monitor.last_update}
    return monitor.interval


def _qom_set(monitor: FakeMonitor, arguments: dict[str, Any]) -> Any:
    fires = monitor.interval == 0 and arguments["value"]
    monitor.interval = arguments["value"]
    if fires:
        monitor.fire()
    return {}


def _balloon(monitor: FakeMonitor, arguments: dict[str, Any]) -> Any:
    monitor.guest_size = min(arguments["value"], monitor.max_size)
    return {}


COMMANDS: dict[str, Any] = {
    "query-name": {"name": "alpha"},
    "qom-list": _qom_list,
    "qom-get": _qom_get,
    "qom-set": _qom_set,
    "balloon": _balloon,
    "query-balloon": lambda monitor, _: {"actual": monitor.guest_size},
    "query-memory-size-summary": lambda monitor, _: {
        "base-memory": monitor.max_size - MIB,
        "plugged-memory": MIB,
    },
}


class Laboratory:
    """Fake monitors in one directory, and a connector to all of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.connector = QmpConnector([str(directory / "*.sock")])
        self._monitors: list[FakeMonitor] = []

    async def monitor(self, name: str = "a", **fields: Any) -> FakeMonitor:
        monitor = FakeMonitor(self.directory / f"{name}.sock")
        for field, value in fields.items():
            assert hasattr(monitor, field)
            setattr(monitor, field, value)
        self._monitors.append(monitor)
        await monitor.start()
        return monitor

    async def sample(
        self, *monitors: FakeMonitor, limit: float = 5.0
    ) -> list[Reading | AerostatError]:
        """Sample these guests, however the connector feels about them."""
        await self.connector.guests()
        results = await self.connector.sample([m.key for m in monitors], limit)
        assert results.keys() == {monitor.key for monitor in monitors}
        return [results[monitor.key] for monitor in monitors]

    async def read(self, monitor: FakeMonitor, limit: float = 5.0) -> Reading:
        """Sample a guest until it can be read (it may be connecting again)."""
        async with asyncio.timeout(20):
            while True:
                (result,) = await self.sample(monitor, limit=limit)
                if isinstance(result, Reading):
                    return result
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        await self.connector.close()
        for monitor in self._monitors:
            with contextlib.suppress(OSError):
                await monitor.stop()


@pytest.fixture
async def laboratory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Laboratory]:
    """Fake monitors, and a connector that is quick to connect again."""
    monkeypatch.setattr(qmp, "_FIRST_RETRY", 0.02)
    laboratory = Laboratory(tmp_path)
    try:
        yield laboratory
    finally:
        await laboratory.close()
