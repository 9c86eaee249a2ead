"""Whoever dies, and however, the device is reset and put back, and only then memory is let go.

The supervisor and its worker are real processes here; the device is not one.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

# Everything that would touch the machine is replaced: the machine that runs this test may well be
# a guest itself, with a balloon of its own.
SCRIPT = """\
import os, sys, time
from aerostat.guest import supervisor, worker
from aerostat.errors import PeerError

def note(text):
    os.write(1, (text + "\\n").encode())

class Thing:
    driver = "virtio-pci"
    taken = True
    address = "0000:00:04.0"
    def __init__(self, name): self.name = name
    def take(self): note("take")
    def keep_from_memory(self): note("keep from memory")
    def put_back(self): note("put back"); return True
    def close(self): note("close " + self.name)
    def __str__(self): return self.name

def work(transport, dma, pins, log):
    signals = worker.Signals()
    note(f"worker {os.getpid()}")
    if "fail" in sys.argv:
        raise PeerError("the device cannot go on")
    if "crash" in sys.argv:
        raise ZeroDivisionError
    while not signals.stop:
        time.sleep(0.01)
    note("worker ends")

supervisor.require_root = supervisor.require_no_lockdown = lambda: None
supervisor.choose_balloon = lambda device: Thing("function")
supervisor.DmaPage = lambda: Thing("dma")
supervisor.choose_pins = lambda: Thing("pins")
supervisor.open_transport = lambda function, legacy: Thing("transport")
supervisor.reset = lambda transport: note("reset")
supervisor.protect = lambda: None
supervisor.work = work
from aerostat.guest.__main__ import main
sys.exit(main([]))
"""

UNDONE = [
    *("reset", "close transport", "keep from memory"),
    *("close pins", "close dma", "put back"),
]

Start = Callable[..., tuple[subprocess.Popen[str], int]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a supervisor, and return it and the process id of its worker."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "take\n"
        return process, int(process.stdout.readline().split()[1])

    yield begin
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def rest(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    """Return what is still said, when all that could say something have ended."""
    assert process.stdout is not None
    assert process.stderr is not None
    # Not `communicate`, which would miss what the first lines brought with them.
    said, complained = process.stdout.read(), process.stderr.read()
    process.wait(timeout=30)
    return said.splitlines(), complained


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_asked_to_end_it_ends_well(start: Start, number: signal.Signals) -> None:
    process, _ = start()
    process.send_signal(number)

    assert rest(process)[0] == ["worker ends", *UNDONE]
    assert process.returncode == 0


def test_a_worker_that_is_killed_leaves_nothing_behind(start: Start) -> None:
    process, worker = start()
    os.kill(worker, signal.SIGKILL)
    said, complained = rest(process)

    assert said == UNDONE
    assert "killed by SIGKILL" in complained
    assert process.returncode == 1


def test_a_supervisor_that_is_killed_is_stood_in_for(start: Start) -> None:
    process, _ = start()
    process.kill()

    assert rest(process)[0] == ["worker ends", *UNDONE]


@pytest.mark.parametrize("how", ["fail", "crash"])
def test_a_worker_that_fails_leaves_nothing_behind(start: Start, how: str) -> None:
    process, _ = start(how)
    said, complained = rest(process)

    assert said == UNDONE
    assert ("cannot go on" in complained) == (how == "fail")
    assert process.returncode == 1


def test_a_worker_whose_parent_is_gone_already_ends() -> None:
    script = (
        "import os, time; from aerostat.guest.worker import die_with; die_with(1); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script])

    assert process.wait(timeout=30) == -signal.SIGTERM
