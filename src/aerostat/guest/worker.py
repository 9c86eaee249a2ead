"""The process that drives the balloon, until it is told to end or its parent dies.

Touches signals, the clock, and what `GuestDriver` is given. It is a child of the supervisor and
never forks: that would make its pages copy-on-write. Standard library only, Python 3.9.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

from aerostat.guest.driver import Dma, GuestDriver
from aerostat.guest.pagemap import PAGE_SIZE, Pagemap
from aerostat.guest.pages import BalloonPages
from aerostat.guest.pins import Pins
from aerostat.guest.procfs import ProcFiles
from aerostat.guest.room import Room
from aerostat.guest.transport import Transport, reset

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

# How long an orderly end may take; then the device is reset with what it has.
_LEAVE_TIME = 10.0

_OOM_SCORE = Path("/proc/self/oom_score_adj")
_FIRST, _NEVER = "1000", "-1000"

_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Signals:
    """Wakes whoever waits when this process is to stop."""

    def __init__(self) -> None:
        self.descriptor, self._write = os.pipe()
        for end in (self.descriptor, self._write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self.stop = False
        for number in STOP_SIGNALS:
            signal.signal(number, self._asked)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def _asked(self, *_: object) -> None:
        self.stop = True


def die_with(parent: int) -> None:
    """Have this process be sent SIGTERM when `parent` dies, or now if it has died already."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def work(transport: Transport, dma: Dma, pins: Pins, log: Callable[[str], None]) -> None:
    """Drive the device until asked to stop, then empty the balloon and reset the device.

    Raises `PeerError` or `MissingError`; the device is then as it is.
    """
    signals = Signals()
    files = ProcFiles()
    room = Room(files.meminfo)
    pages = BalloonPages(pins, Pagemap(), memory_size=files.meminfo()["MemTotal"])

    def collect(balloon_size: int, deflate_on_oom: bool) -> dict[int, int]:  # noqa: FBT001 - as `GuestDriver` calls it
        return files.collect(
            page_size=PAGE_SIZE, balloon_size=balloon_size, deflate_on_oom=deflate_on_oom
        )

    driver = GuestDriver(transport, dma, pages, room, collect, log, page_size=PAGE_SIZE)
    # To be killed for want of memory is to give all of it back, so where that is allowed it is
    # the last resort; where not, the balloon must not be taken for a large program.
    with contextlib.suppress(OSError):
        _OOM_SCORE.write_text(_FIRST if driver.can_relieve else _NEVER)
    poll = select.poll()
    poll.register(signals.descriptor, select.POLLIN)
    if room.descriptor >= 0:
        poll.register(room.descriptor, select.POLLPRI)
    while not signals.stop:
        for ready, _ in poll.poll(1000 * driver.turn(time.monotonic())):
            if ready == room.descriptor:
                room.press()
    log("giving everything back")
    driver.leave()
    deadline = time.monotonic() + _LEAVE_TIME
    while not driver.empty and time.monotonic() < deadline:
        time.sleep(driver.turn(time.monotonic()))
    reset(transport)
    driver.stop()
