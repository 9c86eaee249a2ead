"""Monitors without guests: a process that answers QMP on many sockets, for benches of clients.

``python -m bench.monitors KIND COUNT DIRECTORY`` listens at ``DIRECTORY/0.sock`` and so on. KIND is
``device`` (answers as our device does, ``aerostat-sample`` included) or ``qemu`` (answers as QEMU's
balloon does: a timer that fires when its interval is set, and figures that have then changed).
Answers at once; what a client pays is all its own.
"""

import selectors
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from bench.devices import STATISTICS

from aerostat.balloon.statistics import QEMU_KEYS
from aerostat.qmp.server import COMMAND_NOT_FOUND, Command, ServerSession
from aerostat.units import GIB, MIB

BALLOON = "/machine/peripheral/balloon0"
INTERVAL = "guest-stats-polling-interval"

_ABSENT = (1 << 64) - 1

_COUNTERS = ("bad_chains", "broken_rings", "front_ends", "lost_calls", "punches", "punched_bytes")


class Monitor:
    """One guest's monitor: what it knows, and what it answers."""

    def __init__(self, kind: str) -> None:
        self.names = ["query-name", "qom-list", "qom-get", "qom-set", "query-balloon"]
        self.names.append("aerostat-sample" if kind == "device" else "query-memory-size-summary")
        self._own = kind == "device"
        self._fired = 1
        self._interval = 0

    def answer(self, command: Command) -> Any:
        """Return what a command returns; None for one that is not known."""
        match command.name:
            case "aerostat-sample":
                return self._sample()
            case "qom-get":
                return self._get(command.arguments["property"])
            case "qom-set":
                return self._set(command.arguments["value"])
            case "qom-list":
                there = command.arguments["path"] == "/machine/peripheral"
                kind = f"child<virtio-balloon-{'vhost-user' if self._own else 'pci'}>"
                return [{"name": "balloon0", "type": kind}] if there else []
        return {
            "query-balloon": {"actual": 2 * GIB - 300 * MIB},
            "query-memory-size-summary": {"base-memory": 2 * GIB, "plugged-memory": 0},
            "query-name": {"name": "guest"},
        }.get(command.name)

    def _sample(self) -> dict[str, Any]:
        stats: dict[str, Any] = {QEMU_KEYS[tag]: STATISTICS[tag] for tag in STATISTICS}  # type: ignore[index]
        return {
            "stats": stats | {"unknown": {}},
            "sampled-at": time.monotonic(),
            "fresh": True,
            "max-size": 2 * GIB,
            "guest-size": 2 * GIB - 300 * MIB,
            "target-size": 2 * GIB - 300 * MIB,
            "held": 1 * GIB,
            "counters": dict.fromkeys(_COUNTERS, 0),
        }

    def _get(self, name: str) -> Any:
        if name == INTERVAL:
            return self._interval
        stats = {key: STATISTICS.get(tag, _ABSENT) for tag, key in QEMU_KEYS.items()}
        return {"stats": stats, "last-update": self._fired}

    def _set(self, interval: int) -> dict[str, Any]:
        if interval and not self._interval:
            self._fired += 1
        self._interval = interval
        return {}


def serve(kind: str, count: int, directory: Path) -> None:
    """Answer until killed."""
    selector = selectors.DefaultSelector()
    for number in range(count):
        monitor = Monitor(kind)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(directory / f"{number}.sock"))
        listener.listen()
        selector.register(
            listener, selectors.EVENT_READ, partial(_accept, selector, listener, monitor)
        )
    while True:
        for key, _ in selector.select():
            key.data()


def _accept(selector: selectors.BaseSelector, listener: socket.socket, monitor: Monitor) -> None:
    connection, _ = listener.accept()
    session = ServerSession(monitor.names, version=(11, 1, 0), package="bench")
    connection.sendall(session.data_to_send())
    selector.register(
        connection, selectors.EVENT_READ, partial(_talk, selector, connection, session, monitor)
    )


def _talk(
    selector: selectors.BaseSelector,
    connection: socket.socket,
    session: ServerSession,
    monitor: Monitor,
) -> None:
    data = connection.recv(65536)
    if not data:
        selector.unregister(connection)
        connection.close()
        return
    for command in session.receive(data):
        answer = monitor.answer(command)
        if answer is None:
            session.fail(command.id, COMMAND_NOT_FOUND, "no such command")
        else:
            session.reply(command.id, answer)
    connection.sendall(session.data_to_send())


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
