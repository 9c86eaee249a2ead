"""Monitors without guests: a process that answers QMP on many sockets, for benches of clients.

``python -m bench.monitors KIND COUNT DIRECTORY`` listens at ``DIRECTORY/0.sock`` and so on. KIND is
``device`` (answers as our device does, ``aerostat-sample`` included) or ``qemu`` (answers as QEMU's
balloon does: a timer that fires when its interval is set, and figures that have then changed).
Answers at once; what a client pays is all its own. `bench.crowd` has guests that are alive.
"""

import selectors
import socket
import sys
import time
from collections.abc import Callable, Sequence
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
        self.names = ["query-name", "query-status", "qom-list", "qom-get", "qom-set"]
        self.names += ["query-balloon", "query-memory-size-summary"]
        if kind == "device":
            self.names.append("aerostat-sample")
        self.statistics = STATISTICS
        self.max_size = 2 * GIB
        self.guest_size = self.max_size - 300 * MIB
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
            "query-balloon": {"actual": self.guest_size},
            "query-memory-size-summary": {"base-memory": self.max_size, "plugged-memory": 0},
            "query-name": {"name": "guest"},
            "query-status": {"running": True, "status": "running"},
        }.get(command.name)

    def fire(self) -> None:
        """Have the guest make new figures."""
        self._fired += 1

    def _sample(self) -> dict[str, Any]:
        self.fire()
        stats: dict[str, Any] = {QEMU_KEYS[tag]: self.statistics[tag] for tag in self.statistics}  # type: ignore[index]
        return {
            "stats": stats | {"unknown": {}},
            "sampled-at": time.monotonic(),
            "fresh": True,
            "max-size": self.max_size,
            "guest-size": self.guest_size,
            "target-size": self.guest_size,
            "held": self.guest_size,
            "counters": dict.fromkeys(_COUNTERS, 0),
        }

    def _get(self, name: str) -> Any:
        if name == INTERVAL:
            return self._interval
        stats = {key: self.statistics.get(tag, _ABSENT) for tag, key in QEMU_KEYS.items()}
        return {"stats": stats, "last-update": self._fired}

    def _set(self, interval: int) -> dict[str, Any]:
        if interval and not self._interval:
            self.fire()
        self._interval = interval
        return {}


def serve(
    monitors: Sequence[Monitor], directory: Path, selector: selectors.BaseSelector | None = None
) -> None:
    """Answer until killed, and whatever else is in `selector`."""
    selector = selector or selectors.DefaultSelector()
    for number, monitor in enumerate(monitors):
        listen(selector, directory / f"{number}.sock", partial(_accept, selector, monitor))
    while True:
        for key, _ in selector.select():
            key.data()


def listen(
    selector: selectors.BaseSelector, path: Path, accept: Callable[[socket.socket], None]
) -> None:
    """Listen at `path`; `accept` is given each connection."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    selector.register(listener, selectors.EVENT_READ, lambda: accept(listener.accept()[0]))


def _accept(selector: selectors.BaseSelector, monitor: Monitor, connection: socket.socket) -> None:
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
    try:
        data = connection.recv(65536)
        for command in session.receive(data):
            answer = monitor.answer(command)
            if answer is None:
                session.fail(command.id, COMMAND_NOT_FOUND, "no such command")
            else:
                session.reply(command.id, answer)
        connection.sendall(session.data_to_send())
    except OSError:
        data = b""
    if not data:
        selector.unregister(connection)
        connection.close()


if __name__ == "__main__":
    KIND, COUNT, DIRECTORY = sys.argv[1:]
    serve([Monitor(KIND) for _ in range(int(COUNT))], Path(DIRECTORY))
