"""A demonstration as a process of its own, and what it leaves behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aerostat.demo.outcome import GuestOutcome, Outcome
from aerostat.units import MIB


class DemoProcess:
    """``aerostat demo`` whose run directory, sockets and records go to `directory`."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        self._process = subprocess.Popen(
            [sys.executable, "-m", "aerostat", "demo", "--json", *arguments],
            env={**os.environ, "TMPDIR": str(directory)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for_line(self, word: str) -> None:
        """Wait until a line of progress has `word`."""
        assert self._process.stderr is not None
        told = []
        for line in self._process.stderr:
            if word in line:
                return
            told.append(line)
        raise AssertionError(f"ended without {word!r}: {told}")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def finish(self) -> tuple[int, str, str]:
        """Return the exit code, what was printed, and what was said besides."""
        printed, said = self._process.communicate(timeout=100)
        return self._process.returncode, printed, said

    def figures(self) -> dict[str, Any]:
        """Return the summary of a demonstration that succeeds."""
        code, printed, said = self.finish()
        assert code == 0, said
        figures: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return figures

    def leader(self, name: str) -> int:
        """Return the process that a name of the run's records stands for."""
        (record,) = self.directory.glob(f"aerostat-*/{name}.session")
        return int(json.loads(record.read_text())[0])

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


class DemoHouse:
    """Starts demonstrations in one directory, and tells what they left."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.started: list[DemoProcess] = []

    def start(self, *arguments: str) -> DemoProcess:
        process = DemoProcess(self.directory, *arguments)
        self.started.append(process)
        return process

    def left(self) -> list[str]:
        """Return the processes and files of the demonstrations that there are."""
        mark = f"{self.directory}/".encode()
        commands = {path: _read(path / "cmdline") for path in Path("/proc").glob("[0-9]*")}
        processes = [str(path) for path, command in commands.items() if mark in command]
        return processes + [str(path) for path in self.directory.iterdir()]

    def wait_until_left(self, count: int) -> None:
        """Wait until at most `count` processes and files are left."""
        deadline = time.monotonic() + 20
        while len(self.left()) > count:
            assert time.monotonic() < deadline, self.left()
            time.sleep(0.05)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture
def house() -> Iterator[DemoHouse]:
    """Give a directory of its own, with a path that is short enough for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="demo-", dir="/tmp"))
    house = DemoHouse(directory)
    yield house
    for process in house.started:
        process.kill()
    shutil.rmtree(directory)


@pytest.fixture
def row() -> GuestOutcome:
    return GuestOutcome(
        name="batch",
        size=384 * MIB,
        died=None,
        oom_kills=0,
        damaged=0,
        worked=700 * MIB,
        stall_seconds=0.5,
        restarts=0,
        samples=20,
        least_size=200 * MIB,
        peak_held=190 * MIB,
    )


@pytest.fixture
def outcome(row: GuestOutcome) -> Outcome:
    return Outcome(
        name="managed",
        title="aerostat",
        kind="uml",
        seconds=20.0,
        budget=512 * MIB,
        taken=300 * MIB,
        given=100 * MIB,
        moves=12,
        peak_held=400 * MIB,
        exposure=0,
        rows=(row, row),
    )
