"""Memory that is taken and given inside a guest, after its plan. Touches the guest's console.

A user-mode Linux guest has a worker that plays workloads itself. To one with a shell each step is
told: it fills files in memory, and removes them.
"""

import asyncio
import contextlib
import time

from aerostat.errors import AerostatError, LinkError
from aerostat.model.workload import Workload
from aerostat.testing.guests.shell import ShellGuest
from aerostat.testing.guests.uml import UmlGuest
from aerostat.units import MIB

_STEP = 8 * MIB
_LOOK_EVERY = 0.25
# A guest that hangs answers when it goes on; one that thrashes takes its time.
_PATIENCE = 120.0

Played = ShellGuest | UmlGuest


async def play(guest: Played, workload: Workload) -> None:
    """Play `workload` until cancelled, or until the guest is gone."""
    with contextlib.suppress(LinkError):
        if isinstance(guest, UmlGuest):
            await guest.play(workload)
            await asyncio.Event().wait()
        else:
            await _play_by_shell(guest, workload)


async def _play_by_shell(guest: ShellGuest, workload: Workload) -> None:
    began, holds = time.monotonic(), 0
    while True:
        wanted = workload.wanted(time.monotonic() - began).hold
        if holds + _STEP <= wanted:
            await guest.command("fill", _STEP // MIB, within=_PATIENCE)
            holds += _STEP
            await asyncio.sleep(_STEP / workload.grow_rate)
        elif holds > wanted:
            await guest.command("free", within=_PATIENCE)
            holds = 0
        else:
            await asyncio.sleep(_LOOK_EVERY)


async def oom_kills(guest: Played) -> int | None:
    """Return how many processes the guest's kernel has killed; None where it does not answer."""
    try:
        counters = await guest.counters()
    except AerostatError:
        return None
    return counters["vmstat"].get("oom_kill", 0)
