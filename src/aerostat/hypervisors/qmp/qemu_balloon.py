"""QEMU's own balloon (7.2 to 11), behind its monitor (asyncio).

QEMU asks the guest when a timer fires, and keeps the last answer. Setting the timer's interval from
0 to something makes it fire at once: that is how a fresh sample is had. What came of it is dated by
`qemu_answers`.
"""

import asyncio
import math
import os
import time
from pathlib import PurePath
from typing import Any

from aerostat.host.held import held_by
from aerostat.host.proc import read_small
from aerostat.hypervisors import values
from aerostat.hypervisors.base import BlockReads, Examination, Reading
from aerostat.hypervisors.qmp.link import Ask, QmpLink, RefusedError
from aerostat.hypervisors.qmp.qemu_answers import Answers, Figures
from aerostat.hypervisors.qmp.qemu_examination import Device, examine
from aerostat.qmp.client import Event, Failure

# While QEMU's own timer is ours alone it need not fire by itself: each sample is asked for. An
# hour is harmless if the manager dies and leaves it behind.
_OWN_INTERVAL = 3600
# Memory can be plugged and unplugged, which some events tell of, and not every way of doing it;
# asking is cheap, but not so cheap as to do it every time.
_MAX_SIZE_AGE = 10.0
_PLUGGED = ("MEMORY_DEVICE_SIZE_CHANGE", "ACPI_DEVICE_OST", "DEVICE_DELETED", "MEM_UNPLUG_ERROR")
# What disks have read costs QEMU about a tenth of a sample for each disk: a guest with many is
# asked less often.
_BLOCK_READS_AGE = 0.2
_LONGEST_BLOCK_READS_AGE = 10.0
# A guest on an unloaded host answers in 3 to 6 ms; each look costs about 0.1 ms on both sides.
_FIRST_LOOK = 0.004
_LONGEST_LOOK = 0.1
# A guest that left the last request unanswered is not waited for again until it answers. Nor is
# waiting of any use where an answer may look like the one before.
_SILENT_PATIENCE = 0.01
# Which part of the time limit may be spent on waiting for the guest. The rest is the monitor's,
# so that a silent guest is not taken for a hung monitor.
_PATIENCE = 0.6


def patience(limit: float, *, alive: bool) -> float:
    """Return how long to wait for a guest, where there are `limit` seconds for everything."""
    return min(limit * _PATIENCE, limit if alive else _SILENT_PATIENCE)


class QemuBalloon:
    """One guest's balloon; `path` is where it is in QEMU's object tree.

    `interval` is how often QEMU asks by itself, in seconds, for somebody else; 0 is never. `pid` is
    the machine's process, where it is known.
    """

    def __init__(
        self, path: str, *, interval: int, pid: int | None, figures: Figures, running: bool
    ) -> None:
        self.path = path
        self.pid = pid
        self.interval = interval
        self.answers = Answers(figures, time.monotonic(), interval=interval or None)
        self._running = running
        self._guest_size = 0
        self._max_size = 0
        self._max_size_at = -math.inf
        self._disks = _Disks()

    @classmethod
    async def attach(cls, link: QmpLink, path: str) -> "QemuBalloon":
        """Learn how the device stands. Raises `AerostatError`."""
        interval, figures, status = await link.ask(
            Ask("qom-get", {"path": path, "property": "guest-stats-polling-interval"}),
            Ask("qom-get", {"path": path, "property": "guest-stats"}),
            Ask("query-status"),
        )
        return cls(
            path,
            interval=values.size(interval, "guest-stats-polling-interval"),
            pid=_vmm_pid(link),
            figures=_read_figures(figures),
            running=values.running(status),
        )

    async def sample(self, link: QmpLink, key: str, limit: float) -> Reading:
        """Have the guest asked, and wait a part of `limit` seconds for its answer."""
        began = time.monotonic()
        running = self._running
        alive = await self._request(link, began, running=running)
        if running:
            alive = alive and not self.answers.may_look_the_same(time.time())
            await self._wait_for_figures(link, began + patience(limit, alive=alive))
        return Reading(
            key=key,
            taken_at=time.monotonic(),
            max_size=self._max_size,
            guest_size=self._guest_size,
            held=None if self.pid is None else held_by(self.pid),
            statistics=self.answers.figures,
            sampled_at=self.answers.sampled_at,
            block_reads=self._disks.tell(),
        )

    async def set_target(self, link: QmpLink, size: int) -> None:
        """Ask the guest to keep `size` bytes."""
        await link.ask(Ask("balloon", {"value": size}))

    async def examine(self, link: QmpLink, reading: Reading) -> Examination:
        """Find out how the machine is set up; `reading` was taken just now."""
        device = Device(self.path, self.interval, self.pid)
        return await examine(link, reading.key, device, reading)

    async def release(self, link: QmpLink) -> None:
        """Stop the timer, if nobody else had started it."""
        if self.interval == 0:
            await link.ask(self._set_interval(0))

    def event(self, event: Event) -> None:
        """Follow what happens to the machine, while a sample is being taken too."""
        match event.name:
            case "BALLOON_CHANGE":
                actual = values.size(event.data.get("actual"), "actual")
                self._guest_size = min(actual, self._max_size)
            case "STOP":  # paused; also the end of a migration, at the source
                self._running = False
            case "RESUME":  # also its end at the destination, and a snapshot restored
                self._running = True
                self.answers.doubt()
                self._max_size_at = -math.inf
            case "RESET":
                self.answers.forget()
            case name if name in _PLUGGED:
                self._max_size_at = -math.inf

    def _set_interval(self, interval: int) -> Ask:
        arguments = {"path": self.path, "property": "guest-stats-polling-interval"}
        return Ask("qom-set", {**arguments, "value": interval})

    def _get_figures(self) -> Ask:
        return Ask("qom-get", {"path": self.path, "property": "guest-stats"})

    async def _request(self, link: QmpLink, now: float, *, running: bool) -> bool:
        """Make the timer fire, and read the sizes; tell whether the guest is known to answer."""
        asks = self._asks(now, running=running)
        answers = dict(zip(asks, await link.try_ask(*asks.values()), strict=True))
        if "disks" in answers:
            self._disks.take(answers.pop("disks"), now)
        for answer in answers.values():
            if isinstance(answer, Failure):
                raise RefusedError(answer)
        if "figures" in answers:
            self.answers.note(_read_figures(answers["figures"]), now)
        alive = self.answers.answered
        if running:
            self.answers.asked(now)
        if "memory" in answers:
            self._max_size = _read_memory_size(answers["memory"])
            self._max_size_at = now
        balloon = values.members(answers["balloon"], "query-balloon")
        guest_size = values.size(balloon.get("actual"), "actual")
        if guest_size > self._max_size:
            self._max_size_at = -math.inf  # memory was plugged: ask again the next time
        self._guest_size = min(guest_size, self._max_size)
        return alive

    def _asks(self, now: float, *, running: bool) -> dict[str, Ask]:
        """Return what to ask the monitor, in order.

        If the figures may have changed since they were last read, they are read again before:
        otherwise old ones would be taken for the answer to this request.
        """
        asks = {}
        if self.answers.look_first:
            asks["figures"] = self._get_figures()
        if running:  # a guest that stands still could not answer
            asks["stop"] = self._set_interval(0)
            asks["start"] = self._set_interval(self.interval or _OWN_INTERVAL)
        asks["balloon"] = Ask("query-balloon")
        if now - self._max_size_at >= _MAX_SIZE_AGE:
            asks["memory"] = Ask("query-memory-size-summary")
        if self._disks.due(now):
            asks["disks"] = Ask("query-blockstats")
        return asks

    async def _wait_for_figures(self, link: QmpLink, until: float) -> None:
        """Look for new figures, at growing distances, until they have come or the time is up."""
        look = _FIRST_LOOK
        while self._running:  # it may be paused meanwhile
            await asyncio.sleep(look)
            (raw,) = await link.ask(self._get_figures())
            if self.answers.note(_read_figures(raw), time.monotonic()):
                return
            look = min(2 * look, _LONGEST_LOOK)
            if time.monotonic() + look > until:
                return


class _Disks:
    """What the guest has read from its disks; asked for as often as it is worth."""

    def __init__(self) -> None:
        self._reads: BlockReads | None = None
        self._next = -math.inf

    def due(self, now: float) -> bool:
        """Tell whether it is time to ask."""
        return now >= self._next

    def tell(self) -> BlockReads | None:
        """Return what was asked for, once: told again unchanged it would say that none was read."""
        reads, self._reads = self._reads, None
        return reads

    def take(self, raw: Any, now: float) -> None:
        """Take the answer. A monitor that refuses is not asked again."""
        self._reads, count = (None, 0) if isinstance(raw, Failure) else values.block_reads(raw)
        age = min(count * _BLOCK_READS_AGE or math.inf, _LONGEST_BLOCK_READS_AGE)
        self._next = math.inf if isinstance(raw, Failure) else now + age


def _read_figures(raw: Any) -> Figures:
    answer = values.members(raw, "guest-stats")
    last_update = values.size(answer.get("last-update"), "last-update")
    return Figures(last_update, values.statistics(answer.get("stats")))


def _read_memory_size(raw: Any) -> int:
    answer = values.members(raw, "query-memory-size-summary")
    base = values.size(answer.get("base-memory"), "base-memory")
    return base + values.size(answer.get("plugged-memory", 0), "plugged-memory")


def _vmm_pid(link: QmpLink) -> int | None:
    """Return the process behind the monitor, if it is the virtual machine itself.

    It is not where somebody else, such as libvirt, made the socket for QEMU: credentials are of
    the process that called `listen` (unix(7)).
    """
    pid = link.peer_pid()
    if pid is None or pid == os.getpid():
        return None
    try:
        program = PurePath(read_small(f"/proc/{pid}/cmdline").partition("\0")[0]).name
    except OSError:
        return None
    return pid if "qemu" in program or "kvm" in program else None
