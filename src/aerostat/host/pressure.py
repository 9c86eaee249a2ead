"""Memory pressure, of the host or of a cgroup (Linux `accounting/psi.rst`).

Reads `/proc/pressure/memory` or a cgroup's `memory.pressure`, and may have the kernel watch it.
Kernels before 4.20, and those built or booted without PSI, have neither.
"""

import contextlib
import os
import re
import select
from pathlib import Path
from typing import NamedTuple

from aerostat.host.proc import read_small

PRESSURE = Path("/proc/pressure/memory")

_LINE = re.compile(r"^(some|full) avg10=([0-9.]{1,8}) .*total=([0-9]{1,20})$", re.MULTILINE)

# Whoever has no privileges may have windows of whole two seconds, from Linux 6.5 on.
_WINDOW = 2.0
# A tenth of a second lost in two is far above rest and far below distress.
_THRESHOLD = 0.1


class Pressure(NamedTuple):
    """Time lost for want of memory."""

    some_ratio: float
    """Share (0 to 1) of the last ten seconds in which some task waited."""
    some_seconds: float
    """The same since boot, in seconds."""
    full_ratio: float
    """Share (0 to 1) of the last ten seconds in which every task waited."""
    full_seconds: float
    """The same since boot, in seconds."""


def parse_pressure(text: str) -> Pressure | None:
    """Return what a PSI file tells; None if it is not one."""
    lines = {kind: (average, total) for kind, average, total in _LINE.findall(text)}
    try:
        (some_percent, some_us), (full_percent, full_us) = lines["some"], lines["full"]
        return Pressure(
            float(some_percent) / 100,
            int(some_us) / 1e6,
            float(full_percent) / 100,
            int(full_us) / 1e6,
        )
    except (KeyError, ValueError):
        return None


def read_pressure(path: Path = PRESSURE) -> Pressure | None:
    """Read the memory pressure now; None where the kernel does not tell it."""
    try:
        return parse_pressure(read_small(path))
    except OSError:
        return None


class PressureTrigger:
    """The kernel's word that tasks lost `threshold` seconds within `window` for want of memory.

    Its descriptor becomes readable when that happens, at most once a window. To an event loop that
    alone is the news (``loop.add_reader(trigger, …)``): the kernel gives word only once, to
    whoever polls first, so nothing is left to be read. Without a loop, `wait`.
    """

    __slots__ = ("_descriptor", "_poll")

    def __init__(
        self,
        path: Path = PRESSURE,
        threshold: float = _THRESHOLD,
        window: float = _WINDOW,
    ) -> None:
        """Have the kernel watch. Raises `OSError` where it cannot, or we may not."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        # A PSI file is always readable; the news comes as POLLPRI, which asyncio cannot wait for.
        # An epoll of its own is readable when that came.
        self._poll = select.epoll()
        try:
            words = f"some {round(threshold * 1e6)} {round(window * 1e6)}\0"
            os.write(self._descriptor, words.encode())
            self._poll.register(self._descriptor, select.EPOLLPRI)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._poll.fileno()

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; tell whether the kernel gave word meanwhile."""
        events = [event for _, event in self._poll.poll(timeout)]
        if any(event & select.EPOLLERR for event in events):
            # The cgroup is gone. Without this an event loop would be told of it for ever.
            self._poll.unregister(self._descriptor)
            return False
        return bool(events)

    def close(self) -> None:
        """Have the kernel watch no longer."""
        self._poll.close()
        os.close(self._descriptor)


def open_trigger(path: Path = PRESSURE) -> PressureTrigger | None:
    """Have the kernel watch the pressure; None where it cannot, or we may not."""
    with contextlib.suppress(OSError):
        return PressureTrigger(path)
    return None
