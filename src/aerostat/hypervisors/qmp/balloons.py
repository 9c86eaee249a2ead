"""The balloons that a QMP monitor can have, QEMU's and ours, behind one interface (asyncio).

Each knows how to read its guest through a `QmpLink`, and how to set its target. QEMU's is in
`qemu_balloon`.
"""

import re
import time
from typing import Any, Protocol

from aerostat.errors import LinkError
from aerostat.hypervisors import values
from aerostat.hypervisors.base import Examination, Reading
from aerostat.hypervisors.qmp.link import Ask, QmpLink
from aerostat.hypervisors.qmp.qemu_balloon import QemuBalloon, patience
from aerostat.hypervisors.qmp.qemu_examination import CONTAINERS
from aerostat.qmp.client import Event, Failure

SAMPLE_COMMAND = "aerostat-sample"

# virtio-balloon-pci, -pci-transitional, -pci-non-transitional, -ccw, -device (MMIO), -vhost-user.
_BALLOON_TYPE = re.compile(r"child<virtio-balloon-[a-z-]+>")


class Balloon(Protocol):
    """One guest's balloon behind its monitor."""

    async def sample(self, link: QmpLink, key: str, limit: float) -> Reading:
        """Read the guest, within about `limit` seconds. Raises `AerostatError`."""

    async def set_target(self, link: QmpLink, size: int) -> None:
        """Ask the guest to keep `size` bytes. Raises `AerostatError`."""

    async def examine(self, link: QmpLink, reading: Reading) -> Examination:
        """Find out how the machine is set up; `reading` was taken just now. Raises as above."""

    async def release(self, link: QmpLink) -> None:
        """Leave the device as it was found, but for its size."""

    def event(self, event: Event) -> None:
        """Take note of an event."""


class NoBalloonError(LinkError):
    """The machine behind a monitor has no balloon, at least not yet."""


async def find_name(link: QmpLink) -> str | None:
    """Return the guest's own name. Raises `AerostatError`."""
    return values.guest_name((await link.try_ask(Ask("query-name")))[0])


async def find_balloon(link: QmpLink) -> Balloon:
    """Find out what is behind a monitor. Raises `NoBalloonError`, or another `AerostatError`."""
    commands, *contents = await link.try_ask(
        Ask("query-commands"),
        *(Ask("qom-list", {"path": path}) for path in CONTAINERS),
    )
    known = set() if isinstance(commands, Failure) else values.names(commands, "query-commands")
    if SAMPLE_COMMAND in known:
        return OwnBalloon()
    for container, content in zip(CONTAINERS, contents, strict=True):
        if isinstance(content, Failure):
            continue
        for child, kind in values.children(content, container).items():
            if _BALLOON_TYPE.fullmatch(kind):
                return await QemuBalloon.attach(link, f"{container}/{child}")
    raise NoBalloonError("this guest has no virtio-balloon device (-device virtio-balloon-pci)")


class OwnBalloon:
    """The balloon of an aerostat device process: one command tells everything."""

    def __init__(self) -> None:
        self._answered = True
        self._sampled_at: float | None = None

    async def sample(self, link: QmpLink, key: str, limit: float) -> Reading:
        """Ask for a fresh sample; the device itself waits for the guest, a part of `limit`."""
        wait = patience(limit, alive=self._answered)
        (raw,) = await link.ask(Ask(SAMPLE_COMMAND, {"timeout": wait}))
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
            block_reads=values.own_block_reads(answer.get("block-reads")),
        )

    async def set_target(self, link: QmpLink, size: int) -> None:
        """Ask the guest to keep `size` bytes."""
        await link.ask(Ask("balloon", {"value": size}))

    async def examine(self, link: QmpLink, reading: Reading) -> Examination:
        """Tell what a device knows: the machine that it is plugged into is another's."""
        (status,) = await link.ask(Ask("query-status"))
        answered = reading.sampled_at is not None
        return Examination(
            reading.key,
            kind="aerostat",
            running=values.running(status),
            balloon=True,
            driver=answered or None,
            statistics=bool(reading.statistics) or None,
            mending={"driver": "in the guest: modprobe virtio_balloon"},
        )

    async def release(self, link: QmpLink) -> None:
        """Nothing was changed."""

    def event(self, event: Event) -> None:
        """Every sample tells the size anyway."""


def _read_sampled_at(raw: Any, now: float) -> float | None:
    """Return when a sample was made. The clock is ours: CLOCK_MONOTONIC, on the same host."""
    if raw is None:
        return None
    return min(values.seconds(raw, "sampled-at"), now)


def _read_own_statistics(raw: Any) -> dict[int, int]:
    figures = dict(values.members(raw, "stats"))
    unknown = figures.pop("unknown", {})
    return values.statistics(figures) | values.unknown_statistics(unknown)
