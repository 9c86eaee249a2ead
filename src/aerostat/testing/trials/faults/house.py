"""The house of a campaign: its guests, the manager over them, and a witness.

The witness is a second manager, which only looks and is never hurt itself: it sees what goes on
while the first one is dead, and what a manager weighs after a thousand faults of others. Touches
processes and files through the laboratory, and processes by `hands`.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from aerostat.daemon.snapshot import Snapshot
from aerostat.errors import LinkError
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.polling import until
from aerostat.testing.processes.libvirtd import Libvirtd
from aerostat.testing.processes.manager import ManagerProcess
from aerostat.testing.processes.nursery import Nursery
from aerostat.testing.trials.faults import hands, remains
from aerostat.testing.trials.faults.inhabitant import Inhabitant, workload
from aerostat.testing.trials.faults.record import Injury
from aerostat.testing.trials.faults.schedule import Fault, Resident
from aerostat.units import MIB

#: No guest is ever to be taken below this, in bytes.
GUARANTEE = 96 * MIB
INTERVAL = 0.5
# What all guests may hold, as a part of what they could.
_BUDGET_PART = 0.65
_START = 60.0
_BOOTING = 2
# A helper reads the end of its manager at once.
_ORPHAN_ENDS = 10.0
_KEPT = 64


@dataclass(slots=True)
class Eye:
    """A manager's snapshots, as they come."""

    process: ManagerProcess
    _seen: int = 0
    _left: list[Snapshot] = field(default_factory=list)

    def take(self) -> list[Snapshot]:
        """Return what came since the last time."""
        snapshots = self.process.snapshots
        new = [*self._left, *snapshots[self._seen :]]
        self._left = []
        if len(snapshots) > _KEPT:
            del snapshots[:-1]
        self._seen = len(snapshots)
        return new

    async def start(self) -> None:
        """Start the manager, or start it again."""
        self._left = self.take()
        self._seen = 0
        await self.process.start(within=_START)

    @property
    def latest(self) -> Snapshot | None:
        """Its last word in this life."""
        return self.process.snapshots[-1] if self.process.snapshots else None


class House:
    """All of it, from `start` to `close`, which raise `AerostatError` where that fails."""

    def __init__(self, residents: tuple[Resident, ...], turn: float = 6.0) -> None:
        self.residents = residents
        self.budget = int(sum(one.size for one in residents) * _BUDGET_PART)
        self.inhabitants: dict[str, Inhabitant] = {}
        self.troubles: list[str] = []
        self._turn = turn
        self._stack = AsyncExitStack()
        self._excused = False
        self._may_stumble = False
        self._manager_turn = asyncio.Lock()
        self._libvirtd: Libvirtd | None = None

    # Coming and going.

    async def start(self) -> None:
        """Start everything, and return when the managers know all guests."""
        memory = sum(one.size for one in self.residents if one.kind == "uml")
        self.laboratory = await self._stack.enter_async_context(Laboratory(memory=memory))
        directory = self.laboratory.directory
        self.nursery = Nursery(directory=directory)
        await self.nursery.start()
        self._stack.push_async_callback(self.nursery.kill)
        if any(one.kind == "libvirt" for one in self.residents):
            self._libvirtd = await self.laboratory.libvirtd()
        turns = asyncio.Semaphore(_BOOTING)
        async with asyncio.TaskGroup() as group:
            for place, resident in enumerate(self.residents):
                group.create_task(self._move_in(place, resident, turns))
        self.manager = Eye(self._managed("manager", manage=True))
        self.witness = Eye(self._managed("witness", manage=False))
        for eye in (self.manager, self.witness):
            self._stack.push_async_callback(eye.process.kill)
            await eye.start()
        for eye in (self.manager, self.witness):
            await eye.process.snapshot(self.knows_all, within=_START)

    async def _move_in(self, place: int, resident: Resident, turns: asyncio.Semaphore) -> None:
        async with turns:
            one = Inhabitant(resident, self.laboratory, self.nursery)
            self._stack.callback(one.close)
            self.inhabitants[resident.name] = one
            await one.move_in(workload(resident, place, len(self.residents), self._turn))

    def _managed(self, name: str, *, manage: bool) -> ManagerProcess:
        directory = self.laboratory.directory
        connectors = f'[guests]\nguarantee = "{GUARANTEE}B"\n'
        connectors += f'[[connector]]\nkind = "qmp"\nsockets = ["{directory}/*.front"]\n'
        if self._libvirtd is not None:
            connectors += f'[[connector]]\nkind = "libvirt"\nuri = "{self._libvirtd.uri}"\n'
        return ManagerProcess(
            directory=directory,
            budget=self.budget,
            manage=manage,
            interval=INTERVAL,
            connectors=connectors,
            name=name,
        )

    def knows_all(self, snapshot: Snapshot) -> bool:
        """Tell whether a manager has heard every guest."""
        rows = snapshot.guests
        return len(rows) == len(self.residents) and all(row.sample_age is not None for row in rows)

    async def close(self) -> None:
        """End everything."""
        for one in self.inhabitants.values():
            one.close()  # or who is stopped would wait for who is held up
        await self._stack.aclose()

    def keep_logs(self, directory: Path) -> None:
        """Copy what everybody said, the configuration, and the journals to `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        place = self.laboratory.directory.name
        (directory / "processes.txt").write_text("\n".join(hands.described(place)) + "\n")
        shutil.copytree(
            self.laboratory.directory,
            directory,
            ignore=lambda _, names: [name for name in names if not _is_kept(name)],
            dirs_exist_ok=True,
            ignore_dangling_symlinks=True,
        )

    # Hurting.

    async def suffer(self, fault: Fault) -> Injury:
        """Carry out a fault, and mend what it broke."""
        injury = Injury(fault)
        one = self.inhabitants.get(fault.on)
        if one is not None:
            one.hurt = True
        lock = one.turn if one is not None else self._manager_turn
        verb, what = fault.kind.split("-")
        async with AsyncExitStack() as lifting:
            async with lock:
                injury.missed = await self._hurt(fault, verb, what, one, lifting)
                injury.began = time.monotonic()
            if injury.missed:
                return injury
            await asyncio.sleep(fault.lasts)
            injury.lifted = time.monotonic()
        # Another fault may still be in the way; what is left is mended at the round's end.
        with contextlib.suppress(LinkError, TimeoutError):
            await (one.mend() if one is not None else self.mend_household())
        return injury

    async def _hurt(
        self, fault: Fault, verb: str, what: str, one: Inhabitant | None, lifting: AsyncExitStack
    ) -> str:
        """Begin a fault; return why it cannot be, if so. `lifting` will end it."""
        if what in ("frontend", "monitor"):
            assert one is not None
            return self._disturb(verb, what, one, lifting)
        pid = await self._find(what, one)
        if pid is None:
            return f"no {what} was there"
        if verb == "kill":
            await self._kill(what, one, pid)
            return ""
        if verb in ("replace", "contest"):
            assert one is not None
            return await one.replace_device(fault.lasts if verb == "contest" else None)
        if verb in hands.LIMITS:
            self._let_stumble(verb, one)
        grip: AbstractAsyncContextManager[None]
        if verb == "pause":
            grip = hands.paused(pid)
        elif verb == "starve":
            grip = hands.starved(pid)
        else:
            grip = hands.limited(pid, verb)
        await lifting.enter_async_context(grip)
        return ""

    def _disturb(self, verb: str, what: str, one: Inhabitant, lifting: AsyncExitStack) -> str:
        relay = one.frontend if what == "frontend" else one.monitor
        assert relay is not None
        if not relay.conversations:
            return "nobody was connected"
        if what == "frontend" and verb != "hang":
            one.cut_off = True
        if verb == "cut":
            relay.cut()
        elif verb == "hang":
            relay.hold()
            lifting.callback(relay.go_on)
        else:
            relay.tear()
            lifting.callback(relay.go_on)
            lifting.callback(relay.cut)  # where nothing was said that could be torn
        return ""

    def _let_stumble(self, verb: str, one: Inhabitant | None) -> None:
        # Whoever gets no memory may end, or complain with a traceback; of the rest nobody may.
        if verb != "memory":
            return
        if one is not None:
            one.may_stumble()
        else:
            self._excused = self._may_stumble = True

    async def _find(self, what: str, one: Inhabitant | None) -> int | None:
        if one is not None:
            victim = one.device if what == "device" else one.guest
            return victim.pid if victim is not None and victim.alive else None
        if what == "libvirtd":
            assert self._libvirtd is not None
            return self._libvirtd.pid if self._libvirtd.alive else None
        process = self.manager.process
        if not process.alive or process.pid is None:
            return None
        return process.pid if what == "manager" else _helper(process.pid)

    async def _kill(self, what: str, one: Inhabitant | None, pid: int) -> None:
        if one is not None:
            one.excused.add(what)
            if what == "device":
                assert one.device is not None
                os.kill(pid, signal.SIGKILL)  # its sockets stay, as they would
                await one.device.exited()
            else:
                assert one.guest is not None
                await one.guest.kill()
        elif what == "libvirtd":
            assert self._libvirtd is not None
            await self._libvirtd.kill()
        elif what == "manager":
            self._excused = True
            helper = _helper(pid)
            os.kill(pid, signal.SIGKILL)
            await self.manager.process.exited()
            await self._orphan(helper)
        else:
            os.kill(pid, signal.SIGKILL)

    async def _orphan(self, helper: int | None) -> None:
        """See that a helper does not outlive its manager."""
        if helper is None:
            return
        try:
            await until(lambda: hands.state_of(helper) in ("", "Z"), within=_ORPHAN_ENDS)
        except TimeoutError:
            self.troubles.append("a libvirt helper outlived its manager")

    # Mending.

    async def mend(self) -> None:
        """Have everybody there again."""
        await self.mend_household()
        await asyncio.gather(*(one.mend() for one in self.inhabitants.values()))

    async def mend_household(self) -> None:
        """Have the manager and libvirtd there again."""
        async with self._manager_turn:
            if self._libvirtd is not None and not self._libvirtd.alive:
                await self._libvirtd.start()
            process = self.manager.process
            if not process.alive:
                if not self._excused:
                    self.troubles.append(f"the manager ended by itself: {process.last_words()}")
                self._read_log(process)
                self.troubles += remains.left_behind(process.state)
                await process.kill()
                await self.manager.start()
                self._may_stumble = False
            self._excused = False
            if not self.witness.process.alive:
                raise LinkError(f"the witness has ended: {self.witness.process.last_words()}")

    def _read_log(self, process: ManagerProcess) -> None:
        if not self._may_stumble and "Traceback" in process.log.read_text(errors="replace"):
            self.troubles.append("a traceback of the manager")

    def take_troubles(self) -> list[str]:
        """Return what should not have happened, since the last time."""
        troubles, self.troubles = self.troubles, []
        for one in self.inhabitants.values():
            troubles += one.troubles
            one.troubles = []
        return troubles

    # Counting.

    def descriptors(self) -> dict[str, tuple[int, int]]:
        """Return by name of what runs its process number and how many descriptors it has open."""
        there = [("manager", self.manager.process.pid), ("witness", self.witness.process.pid)]
        there += [("nursery", self.nursery.pid)]
        for one in self.inhabitants.values():
            there += one.processes()
        return {name: (pid, hands.descriptors(pid)) for name, pid in there if pid is not None}

    def strays(self) -> list[str]:
        """Return the processes that have to do with this house and belong to nobody in it."""
        place = self.laboratory.directory.name
        leaders = {self.nursery.pid, self.manager.process.pid, self.witness.process.pid}
        for one in self.inhabitants.values():
            leaders |= {one.device.pid if one.device is not None else None}
            leaders |= {one.guest.pid if one.guest is not None else None}
        if self._libvirtd is not None:
            leaders |= {self._libvirtd.pid, *(one.leader for one in self._libvirtd.domains())}
        leaders |= {os.getpid()}
        return remains.strays(place, {pid for pid in leaders if pid is not None})


def _helper(manager: int) -> int | None:
    """Return the libvirt helper of a manager."""
    return next(
        (one for one in hands.children(manager) if "helper" in hands.command_line(one)), None
    )


def _is_kept(name: str) -> bool:
    ends = (".log", ".toml", ".json", ".state", ".sqlite", ".sqlite-wal")
    return name.endswith(ends) or "." not in name
