"""Worlds whose guests say what they are told to: a scripted QMP monitor, and a scripted libvirt.

Touches sockets and files in the run directory, and the helper process of libvirt's connector.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from aerostat.balloon.statistics import QEMU_KEYS, Tag
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.libvirt.connector import LibvirtConnector
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.testing.conformance.connectors.world import Can, World
from aerostat.testing.mocks.libvirt import FakeLibvirt
from aerostat.testing.mocks.monitor import ABSENT, FakeMonitor
from aerostat.units import KIB, MIB

_SIZE = 512 * MIB
_PLUGGED = 256 * MIB
_BOOTED: Mapping[int, int] = {Tag.FREE_MEMORY: 400 * MIB, Tag.MINOR_FAULTS: 500}


class _Guest(FakeMonitor):
    """A QEMU whose guest has something to say."""

    figures: Mapping[int, int] = _BOOTED
    at: int | None = None

    def update(self) -> None:
        """Have the guest send its figures."""
        self.last_update = self.last_update + 1 if self.at is None else self.at
        self.at = None
        self.statistics = {key: self.figures.get(tag, ABSENT) for tag, key in QEMU_KEYS.items()}


class MonitorWorld(World):
    """Scripted QMP monitors."""

    can = frozenset(
        {
            Can.STATISTICS, Can.MOVE, Can.LAST, Can.EXAMINE, Can.PERIOD, Can.PAUSE, Can.REBOOT,
            Can.PLUG, Can.READ_DISKS, Can.HANG, Can.LEAVE, Can.SAY,
        }
    )  # fmt: skip
    setup: Mapping[str, object] = {
        "kind": "qemu",
        "running": True,
        "balloon": True,
        "driver": True,
        "statistics": True,
        "deflate_on_oom": True,
        "free_page_reporting": False,
        "passthrough": False,
    }
    name = "alpha"
    max_size = _SIZE
    small_size = _SIZE - 64 * MIB
    limit = 0.2

    async def start(self) -> None:
        """Begin to listen."""
        self._guest = _Guest(self.directory / "alpha.sock")
        self._guest.disks = [(4096, 1), (8192, 2)]
        self._neighbour = FakeMonitor(self.directory / "beta.sock")
        await self._guest.start()
        await self._neighbour.start()
        self.key = self._guest.key

    async def close(self) -> None:
        """Close the sockets."""
        await self._guest.stop()
        await self._neighbour.stop()

    async def connect(self, *, read_only: bool = False) -> QmpConnector:
        """Return a connector to both."""
        connector = QmpConnector([str(self.directory / "*.sock")], read_only=read_only)
        await connector.start()
        return connector

    async def size(self) -> int:
        """Return what the monitor would say."""
        return self._guest.guest_size

    @property
    def other(self) -> str:
        """The key of the other guest."""
        return self._neighbour.key

    async def period(self) -> int:
        """Return what it is set to."""
        return self._guest.interval

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Have no answers for a while."""
        self._guest.guest_answers = self._guest.running = False
        self._guest.event("STOP")
        yield
        self._guest.guest_answers = self._guest.running = True
        self._guest.event("RESUME")

    async def reboot(self) -> None:
        """Empty the balloon; counters begin anew, when the driver is back."""
        self._guest.event("RESET", {"guest": False, "reason": "host-qmp-system-reset"})
        self._guest.guest_size = self._guest.max_size
        self._guest.figures = _BOOTED
        self._guest.update()

    async def plug(self) -> int:
        """Have more memory."""
        self._guest.max_size += _PLUGGED
        self._guest.event("ACPI_DEVICE_OST", {"info": {"device": "dimm0"}})
        return self._guest.max_size

    async def read_disk(self) -> int:
        """Count more."""
        self._guest.disks = [(size + MIB, count + 1) for size, count in self._guest.disks]
        return 2 * MIB

    @contextlib.contextmanager
    def hang(self) -> Iterator[None]:
        """Have no command answered."""

        async def never(_writer: asyncio.StreamWriter) -> None:
            await asyncio.Event().wait()

        self._guest.misbehave = dict.fromkeys(("qom-get", "qom-set", "balloon"), never)
        yield
        self._guest.misbehave = {}

    async def leave(self) -> None:
        """Remove the socket."""
        await self._guest.stop()

    async def come(self) -> None:
        """Listen anew."""
        await self._guest.start()

    def say(self, figures: Mapping[int, int], *, at: int | None = None) -> None:
        """Have the guest answer with these figures."""
        self._guest.guest_answers = True
        self._guest.figures, self._guest.at = figures, at

    def fall_silent(self) -> None:
        """Have the guest answer no more."""
        self._guest.guest_answers = False


_LIBVIRTS_NAMES = {
    Tag.SWAP_IN: "swap_in",
    Tag.SWAP_OUT: "swap_out",
    Tag.MAJOR_FAULTS: "major_fault",
    Tag.MINOR_FAULTS: "minor_fault",
    Tag.FREE_MEMORY: "unused",
    Tag.TOTAL_MEMORY: "available",
    Tag.AVAILABLE_MEMORY: "usable",
    Tag.DISK_CACHES: "disk_caches",
    Tag.HUGETLB_ALLOCATIONS: "hugetlb_pgalloc",
    Tag.HUGETLB_FAILURES: "hugetlb_pgfail",
}
_COUNTS = {Tag.MAJOR_FAULTS, Tag.MINOR_FAULTS, Tag.HUGETLB_ALLOCATIONS, Tag.HUGETLB_FAILURES}


class ScriptedLibvirtWorld(World):
    """A scripted libvirt; its guests make new figures each time that they are looked at."""

    can = frozenset({Can.STATISTICS, Can.EXAMINE, Can.PLUG, Can.HANG, Can.SAY})
    setup: Mapping[str, object] = {
        "kind": "libvirt",
        "running": True,
        "balloon": True,
        "driver": True,
        "statistics": True,
        "interval": 2,
        "deflate_on_oom": True,
        "free_page_reporting": False,
        "agent": "absent",
    }
    name = "alpha"
    max_size = _SIZE
    small_size = _SIZE - 64 * MIB
    limit = 0.8

    async def start(self) -> None:
        """Write down what there is."""
        self._libvirt = FakeLibvirt(self.directory)
        self._uuid = self._libvirt.add("alpha", size=_SIZE)
        self._other = self._libvirt.add("beta", size=_SIZE)
        self.key = f"libvirt:{self._uuid}"
        self._second = 1000
        self._silent = False

    async def close(self) -> None:
        """There is nothing to end."""

    async def connect(self, *, read_only: bool = False) -> LibvirtConnector:
        """Return a connector with a helper of its own."""
        connector = self._libvirt.connector(read_only=read_only)
        await connector.start()
        return connector

    async def read(self, key: str = "") -> Reading:
        """Return a reading, of figures that were made meanwhile."""
        if not self._silent:
            self._second += 1
            self._libvirt.record(self._uuid, last_update=self._second)
        return await super().read(key)

    async def size(self) -> int:
        """Return what is written down."""
        size_kib: int = self._record["balloon.current"]
        return size_kib * KIB

    @property
    def other(self) -> str:
        """The key of the other domain."""
        return f"libvirt:{self._other}"

    async def plug(self) -> int:
        """Have more memory."""
        more = _SIZE + _PLUGGED
        self._libvirt.record(self._uuid, maximum=more // KIB, current=more // KIB)
        return more

    @contextlib.contextmanager
    def hang(self) -> Iterator[None]:
        """Have another call hold the domain for good, as libvirtd itself does then."""
        free = self._record
        self._libvirt.hold(self._uuid)
        self._libvirt.fail(set_memory="hang")
        yield
        self._libvirt.domains[self._uuid]["record"] = free
        self._libvirt.fail()

    def say(self, figures: Mapping[int, int], *, at: int | None = None) -> None:
        """Have the guest send these figures, in libvirt's own names and units."""
        self._silent = False
        self._second = self._second if at is None else at
        said = {
            name: figures[tag] if tag in _COUNTS else figures[tag] // KIB
            for tag, name in _LIBVIRTS_NAMES.items()
            if tag in figures
        }
        absent = dict.fromkeys(_LIBVIRTS_NAMES.values())
        self._libvirt.record(self._uuid, **{**absent, **said})

    def fall_silent(self) -> None:
        """Have the guest send no more."""
        self._silent = True

    @property
    def _record(self) -> dict[str, Any]:
        record: dict[str, Any] = self._libvirt.domains[self._uuid]["record"]
        return record
