"""Many guests in one process, in which nothing happens but what their devices ask for.

``python -m aerostat.testing.mocks.guest_load SIZE SOCKET...`` plugs a guest of SIZE (such as 16MiB)
into each socket. It says ``ready`` when all run; for each line that it reads it says how many
samples it has sent, all guests together, and what processor time it has used in seconds; it ends
when there is nothing more to read. `GuestLoad` runs such a process. Linux only; standard library
only.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from aerostat.device.loop import READ, Loop
from aerostat.errors import LinkError
from aerostat.process_guest.interface import State
from aerostat.testing.closing import Closing
from aerostat.testing.mocks.still_guest import TIMEOUT, StillGuest
from aerostat.units import parse_size


class Work(NamedTuple):
    """What guests have done so far."""

    samples: int
    processor_seconds: float


class GuestLoad(Closing):
    """A process with a guest of `size` bytes on each of `sockets`; raises `LinkError`."""

    def __init__(self, size: int, sockets: Sequence[str]) -> None:
        program = [sys.executable, "-m", "aerostat.testing.mocks.guest_load", f"{size}B", *sockets]
        self._process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            self._line()  # ready
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def work(self) -> Work:
        """Return what the guests have done."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        samples, seconds = self._line().split()
        return Work(int(samples), float(seconds))

    def close(self) -> None:
        """End the guests."""
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise LinkError("the guests are gone", retryable=False)
        return line


def main() -> None:
    """Run the guests that the command line names."""
    size, *sockets = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each guest takes about ten
    loop = Loop()
    guests = [StillGuest(loop, socket, [(0, parse_size(size))]) for socket in sockets]
    for guest in guests:
        guest.link.wait_for(State.RUNNING, TIMEOUT)

    def answer() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.stop()
            return
        samples = sum(guest.link.counters["statistics"] for guest in guests)
        print(samples, time.process_time(), flush=True)

    loop.watch(sys.stdin.fileno(), READ, answer)
    print("ready", flush=True)
    loop.run()
    for guest in guests:
        guest.close()
    loop.close()


if __name__ == "__main__":
    main()
