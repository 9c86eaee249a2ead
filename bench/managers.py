"""A manager in a process of its own, ``aerostat run``, as a service has it: journal and API on."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bench.devices import ROOT, stop_process
from bench.harness import cpu_of

from aerostat.daemon.api.client import Client
from aerostat.daemon.journal.reading import JournalReader
from aerostat.errors import LinkError

_PATIENCE = 60.0
_LOOK_AGAIN = 0.2
_PRIORITY = 1


class RunningManager(NamedTuple):
    """One manager that runs."""

    pid: int
    client: Client
    journal: Path

    def status(self, name: str) -> str:
        """Return a line of its ``/proc/PID/status``."""
        return status_of(self.pid, name)

    def await_guests(self, count: int) -> None:
        """Return when so many guests have been read. Raises `RuntimeError` where they are not."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(LinkError):
                if sum(is_read(guest) for guest in self.client.guests()) == count:
                    return
            time.sleep(_LOOK_AGAIN)
        raise RuntimeError(f"the manager has not read {count} guests within {_PATIENCE:g} s")

    def metrics(self) -> bytes:
        """Return its metrics, as a Prometheus is answered."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PATIENCE)
            connection.connect(str(self.client.path))
            connection.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return b"".join(iter(partial(connection.recv, 1 << 20), b""))

    def tick_durations(self) -> list[float]:
        """Return how many seconds each tick took that is in its journal."""
        with JournalReader(self.journal) as reader:
            rows = reader.rows(tuple[float], "SELECT duration FROM ticks ORDER BY id")
            return [row[0] for row in rows]

    def cpu_with_children(self) -> float:
        """Return the seconds of CPU that it and its helpers have used."""
        return sum(map(cpu_of, [self.pid, *children_of(self.pid)]))


@contextlib.contextmanager
def running_manager(
    directory: Path, config: str, *, options: list[str], cpu: int | None = None
) -> Iterator[RunningManager]:
    """Run a manager with the configuration `config` (TOML), on the processor `cpu` alone.

    On a processor of its own it also runs ahead of others there, where that is allowed.
    """
    state = directory / "state"
    path = directory / "aerostat.toml"
    path.write_text(f'state_directory = "{state}"\n{config}')
    listening = directory / "manager.api"
    command = [sys.executable, "-m", "aerostat", "run", "--config", str(path)]
    command += ["--socket", str(listening), *options]
    with (directory / "manager.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log)
    try:
        if cpu is not None:
            keep_to(process.pid, cpu)
        yield RunningManager(process.pid, Client(listening), state / "journal.sqlite")
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
        stop_process(process)


def keep_to(pid: int, cpu: int) -> None:
    """Have a process run on one processor, ahead of others there where that is allowed.

    So a busy machine changes little: what is measured is what the process does, and not its
    neighbours. Called at once after its start, it is so for all threads that it will have.
    """
    os.sched_setaffinity(pid, {cpu})
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(_PRIORITY))


def status_of(pid: int, name: str) -> str:
    """Return what ``/proc/PID/status`` says under a name."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{name}:"))


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def is_read(guest: dict[str, Any]) -> bool:
    """Tell whether the manager has a guest's own figures."""
    return guest["available_memory"] is not None and not guest["error"]
