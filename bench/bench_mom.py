"""What it costs to watch libvirt's guests: aerostat against oVirt MOM, looking equally often.

Real domains of the laboratory's own libvirtd (emulated, at rest, 256 MiB), 2 to 32 of them. MOM
looks every five seconds, by its stock configuration, and so does ours; both have libvirt's
statistics renewed every five seconds, and both manage, but nobody lacks memory. Ours does it by
libvirt, and then by QMP, on a second monitor of the same guests. Counted is the CPU time of the
whole process, its children included, and of libvirtd, each run alone, one after the other. The
line through the different numbers of guests gives a cost a guest, and a fixed cost; what is said
of more guests than there were lies on that line.

``AEROSTAT_MOM`` names a checkout of MOM (it is free software of others, and none of it is here).
Without one the rival is `bench.rival_of_mom`, which does of its work what concerns guests.
"""

import asyncio
import configparser
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.devices import ROOT, stop_process
from bench.harness import Figure, Goal, cpu_of, main
from bench.managers import children_of, running_manager

from aerostat.errors import MissingError
from aerostat.testing.guests.libvirt import LibvirtGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.processes.libvirtd import PYTHON
from aerostat.units import MIB

_INTERVAL = 5
_HOUR = 3600.0
_SIZE = 256 * MIB
# A domain on emulation costs little when idle, and this much memory in all.
_NEEDED = 190 * MIB
_BOOTS_AT_ONCE = 2
_SETTLE = 12.0
_BEYOND = (10, 50, 200)
_GOALS = {"libvirt": 0.2, "QMP": 0.1}

# A second monitor, which only QEMU's own command line can have.
_MONITOR = """\
<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <qemu:arg value='-qmp'/><qemu:arg value='unix:{path},server=on,wait=off'/>
</qemu:commandline>
"""
_CONFIG = """\
interval = {interval}
manage = true
[[connector]]
kind = "{kind}"
{where}
"""


class Cost(NamedTuple):
    """CPU seconds in an hour: of a manager's own processes, and of libvirtd."""

    own: float
    libvirtd: float

    @property
    def all(self) -> float:
        """Both together."""
        return self.own + self.libvirtd


class Line(NamedTuple):
    """A straight line: CPU seconds in an hour without any guest, and for each."""

    fixed: float
    per_guest: float

    def at(self, guests: int) -> float:
        """Return what so many guests cost."""
        return self.fixed + self.per_guest * guests


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure all three, at several numbers of guests."""
    counts, seconds = ((1, 3), 10.0) if quick else (_counts(), 40.0)
    with tempfile.TemporaryDirectory(prefix="mom-", dir="/tmp") as place:
        found = asyncio.run(_measure(Path(place), counts, seconds))
    rival = "oVirt MOM" if _checkout() else "a stand-in for oVirt MOM"
    lines = {who: line({n: cost.all for n, cost in costs.items()}) for who, costs in found.items()}
    theirs = lines.pop("MOM")
    for who, ours in lines.items():
        goal = Goal("ratio", "<=", _GOALS[who])
        yield _figure(f"a guest, by {who}", rival, ours.per_guest, theirs.per_guest, goal)
        yield _figure(f"fixed, by {who}", rival, ours.fixed, theirs.fixed)
        for count in _BEYOND:
            where = "measured" if count in counts else "on the line"
            name = f"{count} guests ({where}), by {who}"
            yield _figure(name, rival, ours.at(count), theirs.at(count))
    for count in counts:
        for part in ("own", "libvirtd"):
            mom = getattr(found["MOM"][count], part) / count
            for who in lines:
                name = f"a guest of {count}, {part}, by {who}"
                yield _figure(name, rival, getattr(found[who][count], part) / count, mom)


def _counts() -> tuple[int, ...]:
    """Return at how many guests to measure: as many as this machine has memory for."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    fit = tuple(count for count in (2, 8, 16, 32) if count * _NEEDED < free * 0.7)
    if len(fit) < 2:
        raise MissingError(f"eight guests need {8 * _NEEDED // MIB} MiB of free memory")
    return fit


def line(points: dict[int, float]) -> Line:
    """Return the line nearest to costs at numbers of guests (least squares)."""
    mean_x = sum(points) / len(points)
    mean_y = sum(points.values()) / len(points)
    rise = sum((x - mean_x) * (y - mean_y) for x, y in points.items())
    slope = rise / sum((x - mean_x) ** 2 for x in points)
    return Line(mean_y - slope * mean_x, slope)


async def _measure(
    place: Path, counts: tuple[int, ...], seconds: float
) -> dict[str, dict[int, Cost]]:
    found: dict[str, dict[int, Cost]] = {"libvirt": {}, "MOM": {}, "QMP": {}}
    async with Laboratory(memory=0, parent=place) as laboratory:
        libvirtd = await laboratory.libvirtd()
        assert libvirtd.pid is not None
        gate = asyncio.Semaphore(_BOOTS_AT_ONCE)

        async def boot(number: int) -> LibvirtGuest:
            name = f"g{number}"
            monitor = _MONITOR.format(path=laboratory.directory / f"{name}.qmp")
            async with gate:
                return await laboratory.start_libvirt_guest(name, _SIZE, more=monitor)

        sockets = f'sockets = ["{laboratory.directory}/*.qmp"]'
        whom = {"libvirt": f'uri = "{libvirtd.uri}"', "QMP": sockets}
        for before, count in zip((0, *counts), counts, strict=False):
            await asyncio.gather(*(boot(number) for number in range(before, count)))
            await asyncio.sleep(_SETTLE)  # a guest is busy for some time after its boot
            for who, costs in found.items():
                runner = _mom(place, libvirtd.uri) if who == "MOM" else _ours(who, whom[who], count)
                # Nothing of this waits for the loop, which only the guests' consoles need.
                costs[count] = await asyncio.to_thread(_cost, runner, libvirtd.pid, seconds)
    return found


def _cost(runner: contextlib.AbstractContextManager[int], libvirtd: int, seconds: float) -> Cost:
    with runner as pid:
        time.sleep(_SETTLE)
        own, theirs, began = _cpu_with_children(pid), cpu_of(libvirtd), time.monotonic()
        time.sleep(seconds)
        hours = (time.monotonic() - began) / _HOUR
        return Cost((_cpu_with_children(pid) - own) / hours, (cpu_of(libvirtd) - theirs) / hours)


def _cpu_with_children(pid: int) -> float:
    return sum(map(cpu_of, [pid, *children_of(pid)]))


@contextlib.contextmanager
def _ours(who: str, where: str, count: int) -> Iterator[int]:
    config = _CONFIG.format(interval=_INTERVAL, kind=who.lower(), where=where)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        running_manager(Path(name), config, options=[]) as manager,
    ):
        manager.await_guests(count)
        yield manager.pid


@contextlib.contextmanager
def _mom(place: Path, uri: str) -> Iterator[int]:
    checkout = _checkout()
    if checkout is None:
        program = [str(ROOT / "bench" / "rival_of_mom.py"), uri, str(_INTERVAL)]
    else:
        rules = checkout / "doc" / "balloon.rules"
        daemon = next(path for path in (checkout / "momd", checkout / "momd.in") if path.exists())
        program = [str(daemon), "-c", str(_mom_config(checkout, place, uri)), "-r", str(rules)]
    environment = os.environ | {"PYTHONPATH": str(checkout or "")}
    with (place / "mom.log").open("wb") as log:
        process = subprocess.Popen([PYTHON, *program], env=environment, stdout=log, stderr=log)
    try:
        yield process.pid
        if process.poll() is not None:
            raise RuntimeError(f"MOM ended: {(place / 'mom.log').read_text()[-500:]}")
    finally:
        stop_process(process)


def _mom_config(checkout: Path, place: Path, uri: str) -> Path:
    """Write MOM's stock configuration, for our libvirtd."""
    config = configparser.RawConfigParser()
    config.read(checkout / "doc" / "mom-balloon.conf")
    config.set("main", "libvirt-hypervisor-uri", uri)
    config.set("main", "guest-manager-multi-thread", "true")  # its default; stock leaves it empty
    path = place / "mom.conf"
    with path.open("w") as file:
        config.write(file)
    return path


def _checkout() -> Path | None:
    named = os.environ.get("AEROSTAT_MOM")
    if named and not (Path(named) / "mom").is_dir():
        raise MissingError(f"AEROSTAT_MOM={named} is no checkout of MOM")
    return Path(named) if named else None


def _figure(
    name: str, rival_name: str, ours: float, rival: float, goal: Goal | None = None
) -> Figure:
    ratio = ours / rival if rival else float("inf")
    return Figure(
        name=f"CPU of watching {name}",
        unit="CPU s/hour",
        ours=ours,
        rival=rival,
        rival_name=rival_name,
        ratio=ratio,
        goal=str(goal or ""),
        met=goal is None or goal.met(ours, rival, ratio),
    )


if __name__ == "__main__":
    main(run)
