"""Telling systemd that the manager is alive, and only while it really ticks (sd_notify(3)).

Touches the socket in ``$NOTIFY_SOCKET``.
"""

import asyncio
import os
import time
from collections.abc import Sequence

from aerostat.daemon.protect import notify
from aerostat.daemon.snapshot import MoveRow, Snapshot

# A tick that is late by this much is not coming: an interval of its own, and all time limits.
_LATE = 10.0


class Watchdog:
    """`saw` is called after each tick; `run` pings in between, for as long as they come."""

    def __init__(self) -> None:
        self._ticked = time.monotonic()
        self._interval = 0.0

    def saw(self, snapshot: Snapshot, _: Sequence[MoveRow]) -> None:
        """Note that a tick has ended, and tell what is going on."""
        self._ticked, self._interval = time.monotonic(), snapshot.interval
        status = f"{snapshot.mode}s {len(snapshot.guests)} guests, {snapshot.moves} moves"
        notify(f"READY=1\nWATCHDOG=1\nSTATUS={status}")

    async def run(self) -> None:
        """Ping as often as systemd wants it; return at once where it does not."""
        period = _period()
        while period:
            await asyncio.sleep(period)
            if time.monotonic() - self._ticked <= 2 * self._interval + _LATE:
                notify("WATCHDOG=1")


def reloading() -> None:
    """Tell systemd that the configuration is being read again; `saw` says when it was."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def _period() -> float:
    """Return after how many seconds to ping, a third of what systemd allows; 0 for never."""
    text = os.environ.get("WATCHDOG_USEC", "")
    mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(text) / 3e6 if mine and text.isascii() and text.isdecimal() else 0.0
