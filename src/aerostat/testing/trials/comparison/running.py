"""One run: the guests boot, work under one driver, and are counted, inside and outside.

Touches processes and files through the laboratory, guests through their consoles, and /proc.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aerostat.errors import AerostatError
from aerostat.model.workload import Workload
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.trials.comparison.drivers import NOBODY, driver, settle
from aerostat.testing.trials.comparison.inhabitants import (
    OVERHEAD,
    Inhabitant,
    Kind,
    inhabitants,
    start_all,
)
from aerostat.testing.trials.comparison.scenes import SCENES, SIZE, START, WARM_UP

_WATCH_EVERY = 0.5
_NURSE_EVERY = 2.0
_PAGE = 4096
_KIB = 1024

# What is kept of /proc/vmstat: our names, theirs (all that begin so are summed up), bytes each.
_COUNTERS = (
    ("major_faults", ("pgmajfault",), 1),
    ("alloc_stalls", ("allocstall",), 1),
    ("direct_reclaimed", ("pgsteal_direct",), _PAGE),
    ("refaulted", ("workingset_refault_file",), _PAGE),
    ("swapped_in", ("pswpin",), _PAGE),
    ("swapped_out", ("pswpout",), _PAGE),
    ("disk_reads", ("pgpgin",), _KIB),
    ("oom_kills", ("oom_kill",), 1),
)


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run."""

    scene: str
    policy: str
    """A driver's name: see `drivers`."""
    seed: int
    seconds: float = 60.0
    """For which is counted, after the warm-up."""

    @property
    def title(self) -> str:
        """What it is called while it runs."""
        return f"{self.scene} {self.seed} under {self.policy}"

    def workloads(self, count: int) -> list[Workload]:
        """Return what each guest does."""
        return SCENES[self.scene].workloads(self.seed, count, self.seconds)


@dataclass(slots=True)
class Fared:
    """How one guest fared while it was counted. Bytes, seconds and events."""

    kind: Kind
    work: str
    counters: dict[str, int] = field(default_factory=dict)
    """What its kernel counted; see `_COUNTERS`. Empty where it did not answer."""
    worked: float = 0.0
    """Seconds of its work that were done in time, of those that were watched."""
    watched: float = 0.0
    touched: int = 0
    """Bytes that its programs took, read, or looked at again."""
    restarts: int = 0
    """How often its programs had been killed, and were started again."""
    held: float = 0.0
    """What it held on average."""


@dataclass(slots=True)
class Run:
    """What was seen of a run; `held` has moments since the count began, and bytes."""

    job: Job
    budget: int
    guests: dict[str, Fared] = field(default_factory=dict)
    held: list[tuple[float, int]] = field(default_factory=list)
    moves: int = 0
    took: float = 0.0
    error: str = ""
    """Why it came to nothing."""


def budget(kinds: Sequence[Kind]) -> int:
    """Return what these guests may hold together, and what runs them, in bytes."""
    return START * len(kinds) + OVERHEAD * sum(kind.program == "qemu" for kind in kinds)


async def make(job: Job, kinds: Sequence[Kind], accelerator: str | None = None) -> Run:
    """Make a run, and return what was seen. Raises `AerostatError`."""
    began = time.monotonic()
    run = Run(job, budget(kinds))
    uml_memory = SIZE * sum(kind.program == "uml" for kind in kinds)
    async with Laboratory(memory=uml_memory) as laboratory:
        guests = inhabitants(laboratory, kinds, accelerator)
        try:
            await _Course(job, run, laboratory, guests).take()
        finally:
            await asyncio.gather(*(guest.stop() for guest in guests))
    run.took = time.monotonic() - began
    return run


class _Course:
    """One run, from the boot to the last look."""

    def __init__(
        self, job: Job, run: Run, laboratory: Laboratory, guests: Sequence[Inhabitant]
    ) -> None:
        self._job = job
        self._run = run
        self._laboratory = laboratory
        self._nurses = [
            Nurse(guest, workload)
            for guest, workload in zip(guests, job.workloads(len(guests)), strict=True)
        ]
        self._guests = guests

    async def take(self) -> None:
        """Boot, let all work, and write down what came of it."""
        await start_all(self._guests)
        sockets = [guest.socket for guest in self._guests]
        if self._job.policy != NOBODY:
            await settle(sockets, START)
        directory, budget = self._laboratory.directory, self._run.budget
        moves = driver(self._job.policy, sockets, directory, budget)
        tasks: list[asyncio.Task[None]] = []
        try:
            await moves.start()
            tasks = [asyncio.create_task(nurse.work()) for nurse in self._nurses]
            await asyncio.sleep(WARM_UP)
            tasks.append(asyncio.create_task(self._watch()))
            before = await self._looked()
            await asyncio.sleep(self._job.seconds)
            after = await self._looked()
            self._run.moves = moves.moves
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await moves.stop()
        for error in ended:
            if isinstance(error, Exception):
                raise error
        for nurse, first, last in zip(self._nurses, before, after, strict=True):
            self._run.guests[nurse.guest.kind.name] = nurse.fared(first, last)

    async def _looked(self) -> list["Look"]:
        """Return how everybody has fared up to now."""
        return await asyncio.gather(*(nurse.look() for nurse in self._nurses))

    async def _watch(self) -> None:
        """Write down what all guests hold, twice a second."""
        began = time.monotonic()
        while True:
            held = [guest.held() or 0 for guest in self._guests]
            now = round(time.monotonic() - began, 2)
            self._run.held.append((now, sum(held)))
            for nurse, size in zip(self._nurses, held, strict=True):
                nurse.held.append(size)
            await asyncio.sleep(_WATCH_EVERY)


class Look(NamedTuple):
    """What is known of a guest at one moment."""

    at: float
    counters: dict[str, int]
    """What its kernel has counted; empty if it is mute."""
    worked: float
    """Seconds of its work that were done, ..."""
    touched: int
    """... and bytes that it touched."""


class Nurse:
    """Has a guest work, again where its programs were killed, and adds up what it got done."""

    def __init__(self, guest: Inhabitant, workload: Workload) -> None:
        self.guest = guest
        self.workload = workload
        self.restarts = 0
        self.held: list[int] = []
        self._done = (0.0, 0)
        """Seconds of work, and bytes touched, of programs that are gone."""
        self._doing = (0.0, 0)
        """The same of those that run, as far as it is known, ..."""
        self._since = 0.0
        """... which began at this second of the plan."""
        self._turn = asyncio.Lock()

    async def work(self) -> None:
        """Keep the guest at work, until cancelled."""
        began = time.monotonic()
        await self.guest.play(self.workload, 0.0)
        while True:
            await asyncio.sleep(_NURSE_EVERY)
            if not await self._ask():
                self.restarts += 1
                self._done, self._doing = self._both(), (0.0, 0)
                self._since = time.monotonic() - began
                with contextlib.suppress(AerostatError):
                    await self.guest.play(self.workload, self._since)

    async def look(self) -> Look:
        """Return how the guest has fared up to now."""
        await self._ask()
        (worked, touched), at = self._both(), time.monotonic()
        counted: dict[str, int] = {}
        with contextlib.suppress(AerostatError):
            counted = counters(await self.guest.vmstat())
        return Look(at, counted, worked, touched)

    def _both(self) -> tuple[float, int]:
        return self._done[0] + self._doing[0], self._done[1] + self._doing[1]

    def fared(self, first: Look, last: Look) -> Fared:
        """Return how the guest fared between two looks."""
        counted: dict[str, int] = {}
        if first.counters and last.counters:
            counted = {name: last.counters[name] - first.counters[name] for name in last.counters}
        return Fared(
            self.guest.kind,
            self.workload.name,
            counted,
            worked=last.worked - first.worked,
            watched=last.at - first.at,
            touched=last.touched - first.touched,
            restarts=self.restarts,
            held=sum(self.held) / max(len(self.held), 1),
        )

    async def _ask(self) -> bool:
        """Ask for a report; return whether there are programs that could give one."""
        async with self._turn:
            try:
                report: Mapping[str, Any] | None = await self.guest.report()
            except AerostatError:
                return True  # it does not answer, and may yet
        if report is None:
            return False
        if report:
            worked = report["seconds_played"] - self._since - report["lost"]
            self._doing = worked, sum(report[kind] for kind in ("grown", "read", "checked"))
        return True


def counters(vmstat: Mapping[str, int]) -> dict[str, int]:
    """Return what is kept of a kernel's counters, by our names. Bytes and events."""
    return {
        ours: sum(value for name, value in vmstat.items() if name.startswith(theirs)) * unit
        for ours, theirs, unit in _COUNTERS
    }
