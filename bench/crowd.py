"""Many guests that are alive, without guests: their figures move, and their balloons obey at once.

``python -m bench.crowd KIND COUNT DIRECTORY`` listens as `bench.monitors` does, and at
``DIRECTORY/looks``, where whoever connects is told when each guest was looked at since that was
asked last: JSON, for each guest a list of monotonic seconds. KIND is as there. A guest of QEMU's
has a disk.

Each guest needs half of its memory, more or less: at each look by so much more or less that no
manager may take it for a guest at rest.
"""

import json
import selectors
import socket
import sys
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from bench.devices import STATISTICS
from bench.monitors import Monitor, listen, serve

from aerostat.balloon.statistics import Tag
from aerostat.qmp.server import Command
from aerostat.units import GIB, MIB

SIZE = 2 * GIB
LOOKS = "looks"

# What a guest needs, and by how much that changes at each look.
_LEAST, _MOST = SIZE // 4, SIZE // 4 * 3
_STEP = 64 * MIB
# What is free also grows from look to look, so that several steps do not come to nothing.
_FREED, _MOST_FREE = 24 * MIB, 331 * MIB


class Guest(Monitor):
    """One guest's monitor, and the guest behind it."""

    def __init__(self, kind: str, number: int) -> None:
        super().__init__(kind)
        self.names += ["balloon", "query-blockstats"]
        self.looks: list[float] = []
        self._random = Random(number)
        self._name = f"guest-{number}"
        self._need = self._random.randrange(_LEAST, _MOST)
        self._reads = 0

    def answer(self, command: Command) -> Any:
        """Return what a command returns; None for one that is not known."""
        match command.name:
            case "balloon":
                self.guest_size = min(command.arguments["value"], self.max_size)
                return {}
            case "query-name":
                return {"name": self._name}
            case "query-blockstats":
                return [{"device": "disk", "stats": {"rd_bytes": self._reads, "rd_operations": 1}}]
        return super().answer(command)

    def fire(self) -> None:
        """Make new figures."""
        super().fire()
        self.looks.append(time.monotonic())
        step = self._random.choice((-_STEP, _STEP))
        self._need += step if _LEAST <= self._need + step <= _MOST else -step
        free = len(self.looks) * _FREED % _MOST_FREE
        idle = max(self.guest_size - self._need, free)
        self._reads += MIB
        self.statistics = {
            **STATISTICS,
            Tag.TOTAL_MEMORY: self.max_size,
            Tag.AVAILABLE_MEMORY: idle,
            Tag.FREE_MEMORY: free,
        }


def tell(guests: list[Guest], connection: socket.socket) -> None:
    """Tell when each guest was looked at, and forget it."""
    with connection:
        connection.sendall(json.dumps([guest.looks for guest in guests]).encode())
    for guest in guests:
        guest.looks.clear()


def main(kind: str, count: int, directory: Path) -> None:
    """Answer until killed."""
    guests = [Guest(kind, number) for number in range(count)]
    selector = selectors.DefaultSelector()
    listen(selector, directory / LOOKS, partial(tell, guests))
    serve(guests, directory, selector)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
