"""A device process, and this process as its front-end and its guest's driver."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.statistics import Tag
from aerostat.qmp.client import ClientSession, Reply
from aerostat.testing.mocks.driver import BalloonDriver
from aerostat.testing.mocks.frontend import MockFrontend, SharedFile
from aerostat.units import GIB, MIB

ROOT = Path(__file__).resolve().parent.parent

# Linux sends so many pages in one request (VIRTIO_BALLOON_ARRAY_PFNS_MAX).
REQUEST_PAGES = 256

#: What a Linux guest of 2 GiB might say: the ten statistics of a kernel before 6.12.
STATISTICS: Mapping[int, int] = {
    Tag.SWAP_IN: 0,
    Tag.SWAP_OUT: 0,
    Tag.MAJOR_FAULTS: 1_400,
    Tag.MINOR_FAULTS: 2_000_000,
    Tag.FREE_MEMORY: GIB,
    Tag.TOTAL_MEMORY: 2 * GIB,
    Tag.AVAILABLE_MEMORY: GIB + 300 * MIB,
    Tag.DISK_CACHES: 400 * MIB,
    Tag.HUGETLB_ALLOCATIONS: 0,
    Tag.HUGETLB_FAILURES: 0,
}

# Seconds for a process to begin or to answer.
_PATIENCE = 20.0

# The driver's rings and buffers lie behind the guest's pages.
_DRIVER_SIZE = 1 * MIB
_QUEUES = (Queue.INFLATE, Queue.DEFLATE, Queue.STATS)


class Device(NamedTuple):
    """A device process at work on the guest's memory, from page 0 up to `size` bytes."""

    pid: int
    control: Path
    size: int
    memory: SharedFile
    frontend: MockFrontend
    driver: BalloonDriver

    def send_statistics(self, statistics: Mapping[int, int] = STATISTICS) -> None:
        """Give the device a statistics buffer."""
        self.driver.send_statistics(statistics)
        self.frontend.kick(Queue.STATS)

    def await_request(self) -> None:
        """Wait until the device asks for statistics."""
        while not self.driver.collect(Queue.STATS):
            self.frontend.wait_for_call(Queue.STATS)

    def populate(self) -> None:
        """Touch every page of the guest, as a guest that has used all its memory."""
        (region,) = self.memory.memory.regions
        region.view[0 : self.size : PAGE_SIZE] = bytes([1]) * (self.size // PAGE_SIZE)

    def exchange(self, queue: Queue, requests: list[bytes]) -> None:
        """Give pages to the balloon, or take them back, as Linux does: one request at a time."""
        for request in requests:
            self.driver.send(queue, request)
            self.frontend.kick(queue)
            while not self.driver.collect(queue):
                self.frontend.wait_for_call(queue)

    def counters(self) -> dict[str, int]:
        """Return the device's own counters."""
        sample = ask(self.control, "aerostat-sample", {"timeout": 0})
        counters: dict[str, int] = sample["counters"]
        return counters


def start_process(arguments: list[str], *sockets: Path) -> subprocess.Popen[bytes]:
    """Start a Python program with our path, and wait until it listens at `sockets`."""
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT)
    deadline = time.monotonic() + _PATIENCE
    while not all(path.exists() for path in sockets):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"{arguments} did not start")
        time.sleep(0.01)
    return process


def stop_process(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here."""
    process.kill()
    process.wait()


@contextlib.contextmanager
def running_device(program: list[str], directory: Path, size: int) -> Iterator[Device]:
    """Start a device process by the arguments `program` of Python, with a guest of `size` bytes."""
    paths = directory / "device.sock", directory / "control.sock"
    listening = ["--socket", str(paths[0]), "--control", str(paths[1])]
    process = start_process([*program, *listening], *paths)
    memory = SharedFile([(0, size + _DRIVER_SIZE)])
    driver = BalloonDriver(memory.memory, size, queues=_QUEUES, size=8)
    try:
        with MockFrontend(str(paths[0]), memory) as frontend:
            frontend.negotiate()
            for queue in _QUEUES:
                frontend.start_ring(queue, driver.rings[queue])
            yield Device(process.pid, paths[1], size, memory, frontend, driver)
    finally:
        stop_process(process)
        driver.release()
        memory.close()


def requests_of(size: int, run_pages: int, seed: int = 1) -> list[bytes]:
    """Return inflate requests for all pages of `size` bytes, in runs of so many pages.

    The runs come in any order; within a request pages mostly descend, as Linux lists them.
    """
    pages = size // PAGE_SIZE
    starts = list(range(0, pages, run_pages))
    if run_pages < pages:
        Random(seed).shuffle(starts)
    pfns = [pfn for start in starts for pfn in range(start, min(start + run_pages, pages))]
    return [
        b"".join(pfn.to_bytes(4, "little") for pfn in reversed(pfns[first : first + REQUEST_PAGES]))
        for first in range(0, pages, REQUEST_PAGES)
    ]


def ask(path: Path, command: str, arguments: dict[str, Any]) -> Any:
    """Return what a QMP server at `path` answers to one command."""
    session = ClientSession()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect(str(path))
        sent = False
        while True:
            for message in session.receive(connection.recv(65536)):
                if isinstance(message, Reply):
                    return message.value
            if session.ready and not sent:
                session.command(command, arguments)
                sent = True
            connection.sendall(session.data_to_send())
