"""How much memory the guest can spare, and whether it is short of it.

May read /proc/meminfo and wait on /proc/pressure/memory (PSI, Linux 5.2). Nothing in user space
can ask for memory "unless that is hard", as the kernel's driver does; so the driver looks first,
and leaves the guest a reserve. Standard library only, Python 3.9.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from aerostat.units import MIB

_PRESSURE = "/proc/pressure/memory"
# Nothing but waiting for memory, for 150 ms of a second: a guest that has memory never does that.
_TRIGGER = b"full 150000 1000000"


def reserve(total: int) -> int:
    """Return the available memory, in bytes, that a guest of `total` bytes is left with.

    What the kernel counts as available is already less what it wants for itself.
    """
    return min(max(32 * MIB, total // 32), 256 * MIB)


class Room:
    """The guest's memory; `meminfo` returns /proc/meminfo in bytes."""

    def __init__(self, meminfo: Callable[[], Mapping[str, int]], pressure: str = _PRESSURE) -> None:
        self._meminfo = meminfo
        self._pressed = False
        #: What becomes ready (POLLPRI) under pressure; -1 if the kernel does not tell.
        self.descriptor = _trigger(pressure)

    def press(self) -> None:
        """Note that there is pressure: `descriptor` was ready, and tells it only once."""
        self._pressed = True

    def spare(self) -> int:
        """Return the bytes that can be taken now."""
        available, keep = self._now()
        return max(0, available - keep)

    def shortage(self) -> int:
        """Return the bytes that the guest lacks and should get back; 0 if it has enough.

        It lacks some after pressure was noted, or when half of its reserve is gone. It is then to
        have twice the reserve, since whoever took it so far will go on, and faster than this is
        looked at.
        """
        available, keep = self._now()
        pressed, self._pressed = self._pressed, False
        if not pressed and available >= keep // 2:
            return 0
        return max(2 * keep - available, keep // 4)

    def close(self) -> None:
        """Close the pressure file."""
        if self.descriptor >= 0:
            os.close(self.descriptor)

    def _now(self) -> tuple[int, int]:
        meminfo = self._meminfo()
        return meminfo.get("MemAvailable", 0), reserve(meminfo.get("MemTotal", 0))


def _trigger(path: str) -> int:
    """Return a descriptor that tells of pressure, or -1 where there is none."""
    try:
        file = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        os.write(file, _TRIGGER)
    except OSError:
        os.close(file)
        return -1
    return file
