"""An exercise in user-mode Linux. Touches processes and files through the laboratory.

What is counted begins when the player is there and has settled, so that neither the boot nor the
player's own start counts.
"""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aerostat.errors import PeerError
from aerostat.model.workload import idle
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.uml import UmlGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.trials.calibration.counts import Counts
from aerostat.testing.trials.calibration.exercises import FILE_SIZE, SIZE, Exercise
from aerostat.testing.trials.comparison.inhabitants import make_swap

_SETTLE = 3.0
_LOOK_EVERY = 0.25
_PATIENCE = 60.0
_PAGE = 4096
_KIB = 1024
_PLAYER = "workload"

# Our names, theirs in /proc/vmstat (all that begin so are summed up), bytes each or 1.
_VMSTAT = (
    ("minor_faults", "pgfault", 1),
    ("major_faults", "pgmajfault", 1),
    ("async_scans", "pgscan_kswapd", _PAGE),
    ("async_reclaims", "pgsteal_kswapd", _PAGE),
    ("direct_scans", "pgscan_direct", _PAGE),
    ("direct_reclaims", "pgsteal_direct", _PAGE),
    ("alloc_stalls", "allocstall", 1),
    ("swap_out", "pswpout", _PAGE),
    ("swap_in", "pswpin", _PAGE),
    ("refaults", "workingset_refault_file", _PAGE),
    ("disk_reads", "pgpgin", _KIB),
    ("oom_kills", "oom_kill", 1),
)
# "pgscan_direct" begins "pgscan_direct_throttle", too, which is no scan.
_NOT = ("pgscan_direct_throttle",)


async def play(
    laboratory: Laboratory, name: str, exercise: Exercise, kernel: Path | None = None
) -> tuple[Counts, str]:
    """Boot guest `name`, have it do an exercise, end it; return counts and its kernel's release.

    Raises `AerostatError`.
    """
    arguments = [f"ubd0r={_file(laboratory.directory / f'{name}.file')}"]
    if exercise.swap_size:
        arguments.append(f"ubd1={make_swap(laboratory.directory / f'{name}.swap')}")
    guest = await laboratory.start_guest(name, SIZE, arguments=arguments, kernel=kernel)
    (device,) = (one for one in laboratory.devices if one.socket == guest.device_socket)
    if exercise.swap_size:
        await guest.command("swap_on", path="/dev/ubdb")
    # A player that is there already: the one that follows takes its place and its memory.
    await guest.play(idle(0), file=Path("/dev/ubda"))
    await asyncio.sleep(_SETTLE)
    with ControlClient(device.control) as control:
        counts = await _Course(exercise, guest, control).take()
    await guest.stop()
    await device.stop()
    return counts, guest.release


def _file(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(FILE_SIZE)
    return path


class _Course:
    """One run, from the first look at the counters to the last."""

    def __init__(self, exercise: Exercise, guest: UmlGuest, control: ControlClient) -> None:
        self._exercise = exercise
        self._guest = guest
        self._control = control
        self._work: dict[str, float] = {"read": 0.0, "held": 0.0, "looked_at": 0.0}
        self._balloon: list[tuple[float, float]] = []

    async def take(self) -> Counts:
        """Play, ask for the targets when it is time, and count."""
        before = await self._look()
        await self._begin()
        began = time.monotonic()
        waiting = list(self._exercise.targets)
        while (at := time.monotonic() - began) < self._exercise.seconds:
            while waiting and waiting[0][0] <= at:
                await self._control_run("balloon", value=waiting.pop(0)[1])
            size = (await self._control_run("query-balloon"))["actual"]
            self._balloon.append((time.monotonic() - began, SIZE - size))
            if not await self._ask():
                break
            await asyncio.sleep(_LOOK_EVERY)
        return self._counts(before, await self._look())

    async def _begin(self) -> None:
        await self._guest.command(
            "play",
            worker=_PLAYER,
            workload=self._exercise.workload.to_dict(),
            file="/dev/ubda",
        )

    async def _ask(self) -> bool:
        """Ask what was done so far; return whether the player lives."""
        try:
            report = await self._guest.command("report", worker=_PLAYER, within=_PATIENCE)
        except PeerError:
            return False
        self._work["read"] = report["read"]
        self._work["looked_at"] = report["checked"]
        self._work["held"] = max(self._work["held"], report["held"])
        return True

    async def _control_run(self, name: str, **arguments: Any) -> Any:
        return await asyncio.to_thread(self._control.run, name, **arguments)

    async def _look(self) -> Mapping[str, Mapping[str, int]]:
        answer: dict[str, dict[str, int]] = await self._guest.command("counters", within=_PATIENCE)
        return answer

    def _counts(
        self, before: Mapping[str, Mapping[str, int]], after: Mapping[str, Mapping[str, int]]
    ) -> Counts:
        values = dict(self._work)
        for ours, theirs, unit in _VMSTAT:
            values[ours] = (_sum(after["vmstat"], theirs) - _sum(before["vmstat"], theirs)) * unit
        for moment, meminfo in (("start", before["meminfo"]), ("end", after["meminfo"])):
            values[f"free_at_{moment}"] = meminfo["MemFree"]
            values[f"available_at_{moment}"] = meminfo["MemAvailable"]
            files = meminfo["Cached"] - meminfo["Shmem"] + meminfo["Buffers"]
            values[f"caches_at_{moment}"] = files
        counts = Counts(values, self._balloon)
        counts.reckon(self._exercise.seconds)
        return counts


def _sum(vmstat: Mapping[str, int], prefix: str) -> int:
    return sum(
        count for name, count in vmstat.items() if name.startswith(prefix) and name not in _NOT
    )
