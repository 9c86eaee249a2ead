"""One guest of the house with its device and relays: hurt by faults, and mended.

Touches processes and sockets through the laboratory.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from aerostat.errors import AerostatError, LinkError, PeerError
from aerostat.model.workload import Step, Workload
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.libvirt import LibvirtGuest
from aerostat.testing.guests.process import ProcessGuest
from aerostat.testing.guests.uml import UmlGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.polling import until
from aerostat.testing.processes.device import DeviceProcess
from aerostat.testing.processes.nursery import Nursery
from aerostat.testing.trials.faults import hands
from aerostat.testing.trials.faults.relay import Relay
from aerostat.testing.trials.faults.schedule import Resident
from aerostat.units import MIB

# What a guest that cannot do without its device has to notice and end.
_ENDS_WITHIN = 20.0
_HELD = 12 * MIB
_FILLED = 8 * MIB
_REST, _WORK, _LIGHT_WORK = 8 * MIB, 56 * MIB, 20 * MIB
_GROW_RATE = 24 * MIB
_NURSED = 60.0
# Within this a device process has taken over from another, even on a machine with much to do.
_TAKES_OVER = 0.6

Lodger = ProcessGuest | UmlGuest | LibvirtGuest


class Look(NamedTuple):
    """What was seen in a guest."""

    held: int
    """Bytes that were looked through."""
    damaged: int
    """Pieces of it that are not as they were written."""
    killed: int
    """Processes that its kernel has killed for want of memory."""


class Inhabitant:
    """One guest, from `move_in` on; `place` says when the work of the house comes by.

    `excused` are those of it that a fault may have ended; `hurt` says that one befell it since it
    was looked at: what it needed may not have come.
    """

    def __init__(self, resident: Resident, laboratory: Laboratory, nursery: Nursery) -> None:
        self.resident = resident
        self.excused: set[str] = set()
        self.hurt = False
        self.cut_off = False
        """Its front-end lost its device, for a moment at least."""
        self.restarts = 0
        self.starts: list[float] = []
        """When its device or its guest was started again, for who takes note of it."""
        self.turn = asyncio.Lock()
        """Who has it hurts or mends the inhabitant."""
        self.troubles: list[str] = []
        """What should not have happened, since somebody took note of it."""
        self._laboratory = laboratory
        self._nursery = nursery
        self._workload: Workload | None = None
        self._may_stumble = False
        self.guest: Lodger | None = None
        self.device: DeviceProcess | None = None
        self.frontend: Relay | None = None
        self.monitor: Relay | None = None
        if resident.kind != "libvirt":
            directory, name = laboratory.directory, resident.name
            self.device = DeviceProcess(name, size=resident.size, directory=directory)
            laboratory.devices.append(self.device)
            self.frontend = Relay(directory / f"{name}.plug", self.device.socket, framed=True)
            self.monitor = Relay(directory / f"{name}.front", self.device.control, framed=False)

    @property
    def name(self) -> str:
        """The guest's name."""
        return self.resident.name

    def close(self) -> None:
        """Hang up; the laboratory ends what runs."""
        for relay in (self.frontend, self.monitor):
            if relay is not None:
                relay.close()

    # Coming.

    async def move_in(self, workload: Workload) -> None:
        """Start device and guest, and have it work. Raises `AerostatError`."""
        self._workload = workload
        if self.device is not None:
            await self.device.start()
        for relay in (self.frontend, self.monitor):
            if relay is not None:
                relay.open()
        await self._start_guest()

    async def _start_guest(self) -> None:
        self.starts.append(time.monotonic())
        laboratory, resident = self._laboratory, self.resident
        if resident.kind == "libvirt":
            await self._start_domain()
            return
        assert self.frontend is not None
        if resident.kind == "uml":
            uml = UmlGuest(
                self.name,
                size=resident.size,
                directory=laboratory.directory,
                device_socket=self.frontend.path,
                memory_directory=laboratory.memory_directory,
            )
            self.guest = uml
            laboratory.guests.append(uml)
            await uml.start()
            await uml.command("hold", worker="held", size=_HELD)
        else:
            self.guest = ProcessGuest(
                self.name,
                size=resident.size,
                directory=laboratory.directory,
                device_socket=self.frontend.path,
                nursery=self._nursery,
                options=resident.options,
            )
            laboratory.guests.append(self.guest)
            await self.guest.start()
            await self.guest.command("hold", worker="held", size=_FILLED)
        await self._work()

    async def _work(self) -> None:
        assert self._workload is not None
        assert not isinstance(self.guest, LibvirtGuest | None)
        await self.guest.play(self._workload)

    async def _start_domain(self) -> None:
        if isinstance(self.guest, LibvirtGuest):
            domain = self.guest
            # libvirtd may not have seen yet that the one before is gone.
            async with asyncio.timeout(_NURSED):
                while True:
                    try:
                        await domain.start()
                        break
                    except LinkError:
                        await asyncio.sleep(0.5)
        else:
            domain = await self._laboratory.start_libvirt_guest(self.name, self.resident.size)
            self.guest = domain
        await domain.fill(_FILLED)

    # Hurting.

    async def replace_device(self, contested: float | None) -> str:
        """Have another device process take over; return why that came to nothing, if it did.

        Where it is `contested` one of the two is killed meanwhile, at a moment that this says:
        in even hundredths of a second the old one.
        """
        old = self.device
        assert old is not None
        assert old.pid is not None
        taking_over = asyncio.create_task(old.successor())
        if contested is not None:
            moment = round(contested * 100)
            await asyncio.sleep(moment / 100 % _TAKES_OVER)
            if moment % 2 == 0:
                self.excused.add("device")
                _kill(old.pid)
            else:
                _kill(_successor_of(old))
        try:
            self.device = await taking_over
        except LinkError as error:
            if not old.alive and await old.exited() == 0:
                self.excused.add("device")  # the other had taken over, and was killed then
            return "" if contested is not None else str(error)
        self._laboratory.devices.remove(old)
        self._laboratory.devices.append(self.device)
        if contested is not None:
            self.excused.add("device")  # whichever was killed: it may have been the last one
        # The old one may have ended before it had handed over anything; then so does the new one.
        await until(self._has_decided, within=_NURSED)
        return ""

    async def _has_decided(self) -> bool:
        assert self.device is not None
        return not self.device.alive or await self.asked_for() is not None

    # Mending.

    async def mend(self) -> None:
        """Start again what has ended; take note of what had no right to.

        Raises `AerostatError` where that fails; it may be called again.
        """
        async with self.turn:
            if self.device is not None and not self.device.alive:
                self.cut_off = True
                self._ended("device", self.device.last_words())
                self._read_log(self.device.log)
                await self._restart_device(self.device)
            assert self.guest is not None
            if self.guest.alive and self.cut_off and not self.resident.reconnects:
                await self._part()
            if not self.guest.alive:
                if not self.cut_off or self.resident.reconnects:
                    self._ended("guest", _words(self.guest))
                self.restarts += 1
                await self.guest.kill()
                _forget(self._laboratory, self.guest)
                await self._start_guest()
            self.cut_off = self._may_stumble = False
            self.excused.clear()

    async def _restart_device(self, device: DeviceProcess) -> None:
        """Start a device again, and wait until the sockets that the last one left are replaced."""
        paths = (device.socket, device.control)
        left = [_identity(path) for path in paths]
        self.starts.append(time.monotonic())
        await device.start()
        await until(
            lambda: all(_identity(path) != old for path, old in zip(paths, left, strict=True))
        )

    async def _part(self) -> None:
        """See a guest end that has lost its device; a real kernel does not notice it."""
        assert self.guest is not None
        if isinstance(self.guest, ProcessGuest):
            try:
                await until(lambda: not self._lives(), within=_ENDS_WITHIN)
            except TimeoutError:
                self.troubles.append(f"{self.name} did not notice that its device was gone")
        await self.guest.kill()

    def _lives(self) -> bool:
        return self.guest is not None and self.guest.alive

    def _ended(self, what: str, words: str) -> None:
        if what not in self.excused:
            self.troubles.append(f"the {what} of {self.name} ended by itself: {words[-300:]}")

    def may_stumble(self) -> None:
        """Let the device end, complain, or refuse what its guest cannot do without: no memory."""
        self.excused |= {"device", "guest"}
        self._may_stumble = True

    def _read_log(self, log: Path) -> None:
        if (
            not self._may_stumble
            and log.exists()
            and "Traceback" in log.read_text(errors="replace")
        ):
            self.troubles.append(f"a traceback of the device of {self.name}")

    # Looking.

    async def look(self) -> "Look":
        """Look through the guest's memory. Raises `AerostatError` where it does not answer."""
        assert self.guest is not None
        if isinstance(self.guest, LibvirtGuest):
            return Look(0, 0, (await self.guest.counters())["vmstat"].get("oom_kill", 0))
        killed = (await self.guest.counters())["vmstat"].get("oom_kill", 0)
        held = damaged = 0
        try:
            found = await self.guest.command("check", worker="held", within=_NURSED)
            report = await self.guest.report()
            held, damaged = found["held"], found["damaged"] + report["damaged"]
            if isinstance(
                self.guest, UmlGuest
            ):  # a process guest has all its pages checked at once
                held += report["held"]
        except PeerError as error:
            if "was killed" not in str(error):
                raise
            killed = max(killed, 1)
            await self._work()
        return Look(held, damaged, killed)

    async def asked_for(self) -> int | None:
        """Return the size that the device asks its guest for, by the device's own word."""
        if self.device is None:
            return None
        return await asyncio.to_thread(_target, self.device.control)

    def processes(self) -> Iterator[tuple[str, int]]:
        """Yield what runs here and is not replaced by the laboratory: a name, a number."""
        if self.device is not None and self.device.pid is not None:
            yield f"{self.name}.device", self.device.pid


def workload(resident: Resident, place: int, count: int, turn: float) -> Workload:
    """Return what the guest at `place` of `count` does: it works when the work comes by.

    A real kernel, here without swap, is given less to do: it has to get by with its guarantee.
    """
    rest, work = _REST, _WORK if resident.kind == "process" else _LIGHT_WORK
    works = {place, (place + 3) % count}
    steps = tuple(Step(one * turn, work if one in works else rest) for one in range(count))
    return Workload("turns", steps, period=count * turn, grow_rate=_GROW_RATE)


def _words(guest: Lodger) -> str:
    with contextlib.suppress(OSError):
        return guest.log.read_text(errors="replace").strip()
    return ""


def _forget(laboratory: Laboratory, guest: Lodger) -> None:
    """Have the laboratory not keep every guest that ever was."""
    if not isinstance(guest, LibvirtGuest):
        laboratory.guests.remove(guest)


def _successor_of(device: DeviceProcess) -> int | None:
    """Return the process that is about to go on in the place of `device`."""
    for pid in hands.children(os.getpid()):
        # It may itself have begun so.
        if pid != device.pid and f"--take-over {device.control}" in hands.command_line(pid):
            return pid
    return None


def _kill(pid: int | None) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _identity(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _target(control: Path) -> int | None:
    try:
        with ControlClient(control) as client:
            return int(client.sample(timeout=0)["target-size"])
    except (AerostatError, OSError):
        return None
