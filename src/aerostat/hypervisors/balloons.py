"""The balloons that a QMP monitor can have, QEMU's and ours, behind one interface (asyncio).

Each knows how to read its guest through a `QmpLink`, and how to set its target.
"""

import asyncio
import os
import re
import time
from pathlib import PurePath
from typing import Any, NamedTuple, Protocol

from aerostat.errors import LinkError
from aerostat.host.held import held_by
from aerostat.host.proc import read_small
from aerostat.hypervisors import values
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.link import Ask, QmpLink
from aerostat.qmp.client import Event, Failure

SAMPLE_COMMAND = "aerostat-sample"

_CONTAINERS = ("/machine/peripheral", "/machine/peripheral-anon")
# virtio-balloon-pci, -pci-transitional, -pci-non-transitional, -ccw, -device (MMIO), -vhost-user.
_BALLOON_TYPE = re.compile(r"child<virtio-balloon-[a-z-]+>")

# While QEMU's own timer is ours alone it need not fire by itself: each sample is asked for. An
# hour is harmless if the manager dies and leaves it behind.
_OWN_INTERVAL = 3600
# Memory can be plugged and unplugged; asking is cheap, but not so cheap as to do it every time.
_MAX_SIZE_AGE = 10.0
# A guest on an unloaded host answers in 3 to 6 ms; each look costs about 0.1 ms on both sides.
_FIRST_LOOK = 0.004
_LONGEST_LOOK = 0.1
# A guest that left the last request unanswered is not waited for again until it answers.
_SILENT_PATIENCE = 0.01
_CLOSE = 0.5
# Which part of the time limit may be spent on waiting for the guest. The rest is the monitor's,
# so that a silent guest is not taken for a hung monitor.
_PATIENCE = 0.6


class Balloon(Protocol):
    """One guest's balloon behind its monitor."""

    async def sample(self, link: QmpLink, key: str, limit: float) -> Reading:
        """Read the guest, within about `limit` seconds. Raises `AerostatError`."""

    async def set_target(self, link: QmpLink, size: int) -> None:
        """Ask the guest to keep `size` bytes. Raises `AerostatError`."""

    async def release(self, link: QmpLink) -> None:
        """Leave the device as it was found, but for its size."""

    def event(self, event: Event) -> None:
        """Take note of an event."""


class Found(NamedTuple):
    """What was found behind a monitor."""

    name: str | None
    balloon: Balloon


async def find_balloon(link: QmpLink) -> Found:
    """Find out what is behind a monitor. Raises `AerostatError`, also if it has no balloon."""
    name, commands, *contents = await link.try_ask(
        Ask("query-name"),
        Ask("query-commands"),
        *(Ask("qom-list", {"path": path}) for path in _CONTAINERS),
    )
    guest_name = values.guest_name(name)
    known = set() if isinstance(commands, Failure) else values.names(commands, "query-commands")
    if SAMPLE_COMMAND in known:
        return Found(guest_name, OwnBalloon())
    for container, content in zip(_CONTAINERS, contents, strict=True):
        if isinstance(content, Failure):
            continue
        for child, kind in values.children(content, container).items():
            if _BALLOON_TYPE.fullmatch(kind):
                balloon = await QemuBalloon.attach(link, f"{container}/{child}")
                return Found(guest_name, balloon)
    raise LinkError("this guest has no virtio-balloon device (-device virtio-balloon-pci)")


class OwnBalloon:
    """The balloon of an aerostat device process: one command tells everything."""

    def __init__(self) -> None:
        self._answered = True
        self._sampled_at: float | None = None

    async def sample(self, link: QmpLink, key: str, limit: float) -> Reading:
        """Ask for a fresh sample; the device itself waits for the guest, a part of `limit`."""
        patience = _patience(limit, alive=self._answered)
        (raw,) = await link.ask(Ask(SAMPLE_COMMAND, {"timeout": patience}))
        now = time.monotonic()
        answer = values.members(raw, "the sample")
        max_size = values.size(answer.get("max-size"), "max-size")
        if max_size == 0:
            raise LinkError("no guest is connected to this device")
        sampled_at = _read_sampled_at(answer.get("sampled-at"), now)
        self._answered = sampled_at != self._sampled_at
        self._sampled_at = sampled_at
        held = answer.get("held")
        return Reading(
            key=key,
            taken_at=now,
            max_size=max_size,
            guest_size=min(values.size(answer.get("guest-size"), "guest-size"), max_size),
            held=None if held is None else values.size(held, "held"),
            statistics={} if sampled_at is None else _read_own_statistics(answer.get("stats")),
            sampled_at=sampled_at,
        )

    async def set_target(self, link: QmpLink, size: int) -> None:
        """Ask the guest to keep `size` bytes."""
        await link.ask(Ask("balloon", {"value": size}))

    async def release(self, link: QmpLink) -> None:
        """Nothing was changed."""

    def event(self, event: Event) -> None:
        """Every sample tells the size anyway."""


def _patience(limit: float, *, alive: bool) -> float:
    """Return how long to wait for a guest, where there are `limit` seconds for everything."""
    return min(limit * _PATIENCE, limit if alive else _SILENT_PATIENCE)


def _read_sampled_at(raw: Any, now: float) -> float | None:
    """Return when a sample was made. The clock is ours: CLOCK_MONOTONIC, on the same host."""
    if raw is None:
        return None
    return min(values.seconds(raw, "sampled-at"), now)


def _read_own_statistics(raw: Any) -> dict[int, int]:
    figures = dict(values.members(raw, "stats"))
    unknown = figures.pop("unknown", {})
    return values.statistics(figures) | values.unknown_statistics(unknown)


class _Figures(NamedTuple):
    """One answer to ``guest-stats``."""

    last_update: int  # the host's wall clock in whole seconds; only whether it changed matters
    statistics: dict[int, int]


class QemuBalloon:
    """QEMU's own balloon (7.2 to 11).

    QEMU asks the guest when a timer fires, and keeps the last answer. Setting the timer's
    interval from 0 to something makes it fire at once: that is how a fresh sample is had. The
    answer is dated in whole seconds of a clock that may be set, so it is dated by our own clock
    instead: by the last moment when it was certainly not there yet. So its age may be taken for
    more than it is, and never for less.
    """

    def __init__(self, path: str, *, interval: int, pid: int | None, figures: _Figures) -> None:
        self._path = path
        self._pid = pid
        self._alone = interval == 0  # nobody else makes the timer fire
        self._interval = interval or _OWN_INTERVAL
        # How old these are is not known: they only serve to recognise newer ones.
        self._figures = figures
        self._looked_at = time.monotonic()
        self._sampled_at: float | None = None
        self._answered = True
        self._guest_size = 0
        self._max_size = 0
        self._max_size_at = float("-inf")

    @classmethod
    async def attach(cls, link: QmpLink, path: str) -> "QemuBalloon":
        """Learn how the device stands. Raises `AerostatError`."""
        interval, figures = await link.ask(
            Ask("qom-get", {"path": path, "property": "guest-stats-polling-interval"}),
            Ask("qom-get", {"path": path, "property": "guest-stats"}),
        )
        return cls(
            path,
            interval=values.size(interval, "guest-stats-polling-interval"),
            pid=_vmm_pid(link),
            figures=_read_figures(figures),
        )

    async def sample(self, link: QmpLink, key: str, limit: float) -> Reading:
        """Have the guest asked, and wait a part of `limit` seconds for its answer."""
        began = time.monotonic()
        alive = await self._request(link, began)
        # An answer of the same second with the same figures cannot be told from the one before:
        # where samples follow each other closely, waiting for a difference may be in vain.
        close = self._sampled_at is not None and began - self._sampled_at < _CLOSE
        patience = _patience(limit, alive=alive and not close)
        self._answered = await self._wait_for_figures(link, began + patience)
        return Reading(
            key=key,
            taken_at=time.monotonic(),
            max_size=self._max_size,
            guest_size=self._guest_size,
            held=None if self._pid is None else held_by(self._pid),
            statistics={} if self._sampled_at is None else self._figures.statistics,
            sampled_at=self._sampled_at,
        )

    async def set_target(self, link: QmpLink, size: int) -> None:
        """Ask the guest to keep `size` bytes."""
        await link.ask(Ask("balloon", {"value": size}))

    async def release(self, link: QmpLink) -> None:
        """Stop the timer, if nobody else had started it."""
        if self._alone:
            await link.ask(self._set_interval(0))

    def event(self, event: Event) -> None:
        """Follow the size as it changes, while a sample is being taken too."""
        if event.name == "BALLOON_CHANGE":
            self._guest_size = min(values.size(event.data.get("actual"), "actual"), self._max_size)

    def _set_interval(self, interval: int) -> Ask:
        arguments = {"path": self._path, "property": "guest-stats-polling-interval"}
        return Ask("qom-set", {**arguments, "value": interval})

    def _get_figures(self) -> Ask:
        return Ask("qom-get", {"path": self._path, "property": "guest-stats"})

    async def _request(self, link: QmpLink, now: float) -> bool:
        """Make the timer fire, and read the sizes; tell whether the guest is known to answer.

        If the figures may have changed since they were last read, they are read again before:
        otherwise old ones would be taken for the answer to this request.
        """
        alive = self._answered
        asks = [self._set_interval(0), self._set_interval(self._interval), Ask("query-balloon")]
        look_before = not (self._alone and self._answered)
        if look_before:
            asks.insert(0, self._get_figures())
        if look_for_memory := now - self._max_size_at >= _MAX_SIZE_AGE:
            asks.append(Ask("query-memory-size-summary"))
        answers = await link.ask(*asks)
        if look_before:
            alive |= self._note(_read_figures(answers[0]))
        self._looked_at = now
        if look_for_memory:
            self._max_size = _read_memory_size(answers.pop())
            self._max_size_at = now
        balloon = values.members(answers.pop(), "query-balloon")
        guest_size = values.size(balloon.get("actual"), "actual")
        if guest_size > self._max_size:
            self._max_size_at = float("-inf")  # memory was plugged: ask again the next time
        self._guest_size = min(guest_size, self._max_size)
        return alive

    async def _wait_for_figures(self, link: QmpLink, until: float) -> bool:
        """Look for new figures, at growing distances; tell whether they came."""
        look = _FIRST_LOOK
        while True:
            await asyncio.sleep(look)
            (raw,) = await link.ask(self._get_figures())
            if self._note(_read_figures(raw)):
                return True
            look = min(2 * look, _LONGEST_LOOK)
            if time.monotonic() + look > until:
                return False

    def _note(self, figures: _Figures) -> bool:
        """Take note of the figures; tell whether the guest has made them since the last look."""
        if figures == self._figures:
            return False
        self._figures = figures
        # 0 is never; after a reset of the machine there are none until the guest is back.
        self._sampled_at = None if figures.last_update == 0 else self._looked_at
        return self._sampled_at is not None


def _read_figures(raw: Any) -> _Figures:
    answer = values.members(raw, "guest-stats")
    last_update = values.size(answer.get("last-update"), "last-update")
    return _Figures(last_update, values.statistics(answer.get("stats")))


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
