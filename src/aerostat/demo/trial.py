"""One trial: guests in a laboratory, their workloads, and the manager that watches over them.

Touches processes and files through the laboratory, and guests through their consoles and the
devices' control sockets.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from aerostat.daemon.config import Config, HostConfig, JournalConfig, Size
from aerostat.daemon.host_keeper import HostKeeper
from aerostat.daemon.manager import Manager, Watcher
from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.demo.interrupts import Interrupts
from aerostat.demo.kinds import Kind
from aerostat.demo.outcome import GuestOutcome, Outcome, Tally
from aerostat.demo.scenario import LIBRARY_SIZE, GuestPlan, Setting, varied
from aerostat.demo.supervisor import Supervisor
from aerostat.errors import MissingError
from aerostat.host.meminfo import read_meminfo
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.testing.laboratory import Guest, Laboratory
from aerostat.testing.processes.device import DeviceProcess
from aerostat.testing.processes.places import SHARED_MEMORY
from aerostat.units import format_size

# Two boot at once: more gain nothing on a small machine, and time out on a very small one.
_BOOTING = 2
_NEWS_OF_A_DEVICE = 0.5
"""Seconds for which the end of a guest may be heard before that of the device it died of."""
_LIBRARY = "library"

Say = Callable[[str], None]


class Terms(NamedTuple):
    """What a trial is made under: bytes, seconds, the seed of the workloads, what guests are."""

    budget: int
    seconds: float
    seed: int
    kind: Kind


def check_machine(settings: Sequence[Setting], terms: Terms) -> None:
    """Raise `MissingError` where there is not enough memory."""
    # Guests that nobody restrains may use all that they have.
    needed = max(terms.budget if setting.manage else setting.memory for setting in settings)
    available = read_meminfo().available
    if available < needed:
        raise MissingError(
            f"the guests need {format_size(needed)} of memory, and this machine has "
            f"{format_size(available)} left; end something"
        )


class Trial:
    """A trial that is being made.

    `say` is told of its progress. `curtain` is entered while the guests work, and gives what is
    then told of each tick.
    """

    def __init__(
        self,
        setting: Setting,
        terms: Terms,
        *,
        say: Say,
        curtain: AbstractAsyncContextManager[Watcher],
    ) -> None:
        self._setting = setting
        self._terms = terms
        self._say = say
        self._curtain = curtain
        self._show: Watcher | None = None
        self._tally = Tally()
        self._supervisors: dict[str, Supervisor] = {}
        self._deaths: dict[str, str] = {}
        self._began = self._ended = 0.0

    async def run(self, interrupts: Interrupts) -> Outcome:
        """Boot the guests, let them work, and end them, whatever happens.

        Raises `EndedError` when the end is asked for before all are up, `MissingError` where
        there is no room, `LinkError` when a guest does not come up.
        """
        has_files = self._terms.kind.has_files
        laboratory = Laboratory(memory=self._setting.memory if has_files else 0)
        urged = asyncio.create_task(_kill_when(interrupts.urged, laboratory))
        try:
            async with laboratory:
                self._say_where(laboratory.memory_directory)
                try:
                    await interrupts.unless_asked(self._boot(laboratory))
                    return await self._work(laboratory, interrupts)
                finally:
                    self._say("ending the guests")
        finally:
            await _cancel([urged])

    def _say_where(self, memory: Path) -> None:
        if memory != SHARED_MEMORY:
            self._say(f"{SHARED_MEMORY} cannot hold the guests' memory; it goes to {memory}")

    # Booting.

    async def _boot(self, laboratory: Laboratory) -> None:
        library = laboratory.directory / _LIBRARY
        library.touch()
        os.truncate(library, LIBRARY_SIZE)
        turns = asyncio.Semaphore(_BOOTING)
        booting = [
            asyncio.create_task(self._boot_one(laboratory, plan, turns))
            for plan in self._setting.guests
        ]
        try:
            await asyncio.gather(*booting)
        finally:
            await _cancel(booting)

    async def _boot_one(
        self, laboratory: Laboratory, plan: GuestPlan, turns: asyncio.Semaphore
    ) -> None:
        async with turns:
            began = time.monotonic()
            guest = await self._terms.kind.start(laboratory, plan.name, plan.size)
            took = time.monotonic() - began
        workload = varied(plan, self._terms.seed).workload
        library = laboratory.directory / _LIBRARY
        self._supervisors[plan.name] = Supervisor(guest, workload, library)
        self._say(f"{plan.name}: {self._terms.kind.describe(guest)} is up after {took:.1f} s")

    # Working.

    async def _work(self, laboratory: Laboratory, interrupts: Interrupts) -> Outcome:
        manager = self._manager(laboratory.directory)
        managing = asyncio.create_task(manager.run())
        devices = {device.guest_name: device for device in laboratory.devices}
        watching = [
            asyncio.create_task(self._watch(guest, devices[guest.name], interrupts))
            for guest in laboratory.guests
        ]
        try:
            async with self._curtain as self._show:
                await self._play(interrupts, managing)
            self._show = None
            self._say("asking the guests how they fared")
            rows = await asyncio.gather(*map(self._ask, self._setting.guests))
        finally:
            await _cancel(watching)
            manager.stop()
            await managing
        return self._outcome(rows)

    def _manager(self, directory: Path) -> Manager:
        config = Config(
            manage=self._setting.manage,
            host=HostConfig(budget=Size(self._terms.budget)),
            journal=JournalConfig(enabled=False),
        )
        connector = QmpConnector([f"{directory}/*.sock"], read_only=not self._setting.manage)
        manager = Manager(config, [connector], host=HostKeeper(config).read)
        manager.watchers += [self._tally.add, self._show_with_deaths]
        return manager

    def _show_with_deaths(self, snapshot: Snapshot, moves: Sequence[MoveRow]) -> None:
        if self._show is None:
            return
        deaths = tuple(f"{name} {how}" for name, how in self._deaths.items())
        self._show(replace(snapshot, problems=deaths + snapshot.problems), moves)

    async def _play(self, interrupts: Interrupts, managing: "asyncio.Task[None]") -> None:
        """Let the workloads run until their time is up, or the end is asked for."""
        seconds, clock = self._terms.seconds, time.monotonic
        self._began = clock()
        playing = [asyncio.create_task(one.keep(clock)) for one in self._supervisors.values()]
        asked = asyncio.create_task(interrupts.asked.wait())
        try:
            await asyncio.wait(
                {asked, managing}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if managing.done():
                managing.result()
        finally:
            self._ended = clock()
            await _cancel([asked, *playing])

    async def _watch(self, guest: Guest, device: DeviceProcess, interrupts: Interrupts) -> None:
        """Note a guest's death; end the guest of a device that has died, and the other way round.

        A user-mode Linux that has lost its device does not notice, and never ends by itself.
        """
        lives = asyncio.create_task(guest.exited())
        serves = asyncio.create_task(device.exited())
        try:
            await asyncio.wait({lives, serves}, return_when=asyncio.FIRST_COMPLETED)
            # A guest may die of a device's death (SIGPIPE), and be seen to end before it.
            await asyncio.wait({serves}, timeout=_NEWS_OF_A_DEVICE)
            if interrupts.urged.is_set():
                return  # it was killed on purpose
            if serves.done():
                self._deaths[guest.name] = "was ended: its device has died"
                await guest.kill()
            else:
                self._deaths[guest.name] = _how(guest, lives.result())
                await device.stop()
        finally:
            await _cancel([lives, serves])

    # Asking.

    async def _ask(self, plan: GuestPlan) -> GuestOutcome:
        supervisor, figures = self._supervisors[plan.name], self._tally.of(plan.name)
        oom_kills = await supervisor.finish()
        return GuestOutcome(
            name=plan.name,
            size=plan.size,
            died=self._deaths.get(plan.name),
            oom_kills=oom_kills,
            damaged=supervisor.damaged,
            worked=supervisor.worked,
            stall_seconds=supervisor.stall_seconds,
            restarts=supervisor.restarts,
            samples=figures.samples,
            least_size=figures.least_size,
            peak_held=figures.peak_held,
        )

    def _outcome(self, rows: list[GuestOutcome]) -> Outcome:
        last = self._tally.last
        return Outcome(
            name=self._setting.name,
            title=self._setting.title,
            kind=self._terms.kind.name,
            seconds=self._ended - self._began,
            budget=self._terms.budget,
            taken=last.taken if last else 0,
            given=last.given if last else 0,
            moves=last.moves if last else 0,
            peak_held=self._tally.peak_held,
            exposure=sum(host.exposure or 0 for host in last.hosts) if last else 0,
            rows=tuple(rows),
        )


def _how(guest: Guest, status: int) -> str:
    """Say how a guest ended, by the exit status of its process and what its kernel said."""
    panics = [line for line in _lines(guest.log) if line.startswith("Kernel panic")]
    if panics:
        return f"died: {panics[0]}"
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return "has powered itself off" if status == 0 else f"has ended with status {status}"


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()
    except OSError:
        return []


async def _kill_when(urged: asyncio.Event, laboratory: Laboratory) -> None:
    """Kill the guests as soon as somebody urges."""
    await urged.wait()
    await asyncio.gather(*(guest.kill() for guest in laboratory.guests))


async def _cancel(tasks: "list[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
