"""The trial itself: guests, what they do, the manager over them, and its deaths.

Touches processes and files through the laboratory, and guests through their consoles.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aerostat.daemon.journal.reading import JournalReader
from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.testing.guests.qemu import QemuGuest
from aerostat.testing.guests.uml import UmlGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.processes.manager import ManagerProcess
from aerostat.testing.trials.hostile import LyingMonitor, hang
from aerostat.testing.trials.plan import GUARANTEE, SIZE, Plan, Resident
from aerostat.testing.trials.players import Played, oom_kills, play

# Two boot at once: more gain nothing on a small machine.
_BOOTING = 2
_READY_WITHIN = 60.0

Say = Callable[[str], None]


@dataclass(slots=True)
class Record:
    """What was seen of a trial. Times are monotonic seconds, sizes bytes."""

    plan: Plan
    lives: list[list[Snapshot]] = field(default_factory=list)
    """The snapshots of each life of the manager."""
    deaths: list[float] = field(default_factory=list)
    oom_kills: dict[str, int | None] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    """Guests that did not live to the end."""
    lies: int = 0
    explained: dict[str, str] = field(default_factory=dict)
    """What ``aerostat explain`` said of each guest at the end; an error begins with ``error``."""
    moves: list[MoveRow] = field(default_factory=list)
    """What the journal has."""
    replay: str = ""
    """What ``aerostat replay`` said of the journal."""
    replayed: bool = False

    @property
    def snapshots(self) -> list[Snapshot]:
        """All of them, in order."""
        return [snapshot for life in self.lives for snapshot in life]


async def make(plan: Plan, say: Say) -> Record:
    """Make a trial, and return what was seen.

    Raises `MissingError` where a part of the laboratory is missing, `LinkError` where a guest does
    not come up.
    """
    record = Record(plan)
    uml_memory = SIZE * sum(resident.kind == "uml" for resident in plan.residents)
    async with Laboratory(memory=uml_memory) as laboratory:
        house = _House(plan, laboratory, record, say)
        try:
            await house.boot()
            await house.live()
        finally:
            await house.close()
    return record


class _House:
    def __init__(self, plan: Plan, laboratory: Laboratory, record: Record, say: Say) -> None:
        self._plan = plan
        self._laboratory = laboratory
        self._record = record
        self._say = say
        self._guests: dict[str, Played] = {}
        self._plain: list[QemuGuest] = []
        self._liars: list[LyingMonitor] = []
        self._sockets: list[str] = []
        self._at_work: list[asyncio.Task[Any]] = []
        self._manager: ManagerProcess | None = None

    # Booting.

    async def boot(self) -> None:
        turns = asyncio.Semaphore(_BOOTING)
        async with asyncio.TaskGroup() as group:
            for resident in self._plan.residents:
                group.create_task(self._boot_one(resident, turns))

    async def _boot_one(self, resident: Resident, turns: asyncio.Semaphore) -> None:
        async with turns:
            began = time.monotonic()
            self._guests[resident.name] = await self._start(resident)
            self._say(f"{resident.name} is up after {time.monotonic() - began:.1f} s")

    async def _start(self, resident: Resident) -> Played:
        laboratory, name = self._laboratory, resident.name
        if resident.kind == "libvirt":
            return await laboratory.start_libvirt_guest(name, SIZE)
        if resident.kind == "uml":
            guest = await laboratory.start_guest(name, SIZE)
            assert isinstance(guest, UmlGuest)
            self._sockets.append(f"{laboratory.directory}/{name}.sock")
            return guest
        plain = QemuGuest(name, size=SIZE, directory=laboratory.directory)
        self._plain.append(plain)
        await plain.start()
        socket = plain.control
        if resident.conduct == "lies":
            socket = laboratory.directory / f"{name}.front"
            liar = LyingMonitor(socket, plain.control)
            self._liars.append(liar)
            await liar.start()
        self._sockets.append(str(socket))
        return plain

    # Living.

    async def live(self) -> None:
        """Let the guests work under a manager, and kill it as the plan says."""
        manager = self._manager = await self._managed()
        await manager.start()
        await manager.snapshot(self._knows_all, within=_READY_WITHIN)
        self._say("the manager knows all guests; they begin to work")
        began = time.monotonic()
        self._begin_work()
        for part in (*self._plan.deaths, 1.0):
            await self._until(began + part * self._plan.seconds)
            if part < 1.0:
                await self._die(manager)
        await self._end_work()
        await self._ask(manager)

    def _knows_all(self, snapshot: Snapshot) -> bool:
        rows = snapshot.guests
        return len(rows) == len(self._guests) and all(row.guest_size for row in rows)

    async def _managed(self) -> ManagerProcess:
        sockets = ", ".join(f'"{path}"' for path in self._sockets)
        connectors = f'[guests]\nguarantee = "{GUARANTEE}B"\n'
        connectors += f'[[connector]]\nkind = "qmp"\nsockets = [{sockets}]\n'
        if any(resident.kind == "libvirt" for resident in self._plan.residents):
            libvirtd = await self._laboratory.libvirtd()
            connectors += f'[[connector]]\nkind = "libvirt"\nuri = "{libvirtd.uri}"\n'
        return ManagerProcess(
            directory=self._laboratory.directory,
            budget=self._plan.budget,
            manage=True,
            interval=self._plan.interval,
            connectors=connectors,
        )

    def _begin_work(self) -> None:
        work = [
            play(self._guests[resident.name], self._plan.workload(place))
            for place, resident in enumerate(self._plan.residents)
        ]
        for resident in self._plan.residents:
            guest = self._guests[resident.name]
            if resident.conduct == "hangs" and isinstance(guest, QemuGuest):
                work.append(hang(guest, *self._plan.hangs))
        self._at_work = [asyncio.create_task(one) for one in work]

    async def _until(self, moment: float) -> None:
        """Wait for a moment; say each minute where things stand."""
        assert self._manager is not None
        while (left := moment - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 30.0))
            host = self._manager.latest.hosts[0]
            self._say(
                f"{len(self._manager.snapshots)} ticks, {self._manager.latest.moves} moves; "
                f"permitted {_mib(host.permitted)} and held {_mib(host.held)} "
                f"of {_mib(host.budget)} MiB"
            )

    async def _die(self, manager: ManagerProcess) -> None:
        self._say("the manager is killed")
        await manager.kill()
        self._record.deaths.append(time.monotonic())
        self._record.lives.append(list(manager.snapshots))
        await asyncio.sleep(self._plan.dead_for)
        await manager.start()
        self._say("the manager is back")

    async def _end_work(self) -> None:
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)
        self._at_work = []

    # Asking.

    async def _ask(self, manager: ManagerProcess) -> None:
        self._say("asking how everybody fared")
        record = self._record
        record.lies = sum(liar.told for liar in self._liars)
        for name in self._guests:
            answer = await manager.call("explain", name)
            record.explained[name] = answer.out.strip() if answer.code == 0 else answer.err.strip()
        record.lives.append(list(manager.snapshots))
        await manager.stop()
        with JournalReader(manager.journal) as journal:
            record.moves = list(journal.moves())
        replayed = await manager.run("replay", str(manager.journal))
        record.replay, record.replayed = replayed.out + replayed.err, replayed.code == 0
        answers = await asyncio.gather(*(oom_kills(guest) for guest in self._guests.values()))
        record.oom_kills = dict(zip(self._guests, answers, strict=True))
        record.ended = [name for name, guest in self._guests.items() if not guest.alive]

    async def close(self) -> None:
        """End what the laboratory does not know of."""
        await self._end_work()
        if self._manager is not None:
            await self._manager.kill()
        for liar in self._liars:
            await liar.stop()
        await asyncio.gather(*(guest.stop() for guest in self._plain))


def _mib(size: int | None) -> str:
    return "?" if size is None else str(size >> 20)
