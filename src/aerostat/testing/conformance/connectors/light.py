"""Worlds of guests that cost little: a process on our own device, and libvirt's test driver.

Touches processes, and the run directory.
"""

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping

from aerostat.hypervisors.libvirt.connector import LibvirtConnector
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.hypervisors.qmp.link import Ask, open_link
from aerostat.testing.conformance.connectors.world import Can, World
from aerostat.testing.guests.process import ProcessGuest
from aerostat.testing.processes.device import DeviceProcess
from aerostat.testing.processes.nursery import Nursery
from aerostat.units import GIB, MIB

_SIZE = 64 * MIB


class DeviceWorld(World):
    """Process guests on aerostat's own devices."""

    can = frozenset(
        {
            Can.STATISTICS, Can.MOVE, Can.LAST, Can.LOOK_INSIDE, Can.EXAMINE, Can.HANG, Can.LEAVE,
        }
    )  # fmt: skip
    setup: Mapping[str, object] = {
        "kind": "aerostat",
        "running": True,
        "balloon": True,
        "driver": True,
        "statistics": True,
    }
    name = "alpha"
    max_size = _SIZE
    small_size = _SIZE - 16 * MIB

    async def start(self) -> None:
        """Start both guests, each on its device."""
        self._nursery = Nursery(directory=self.directory)
        await self._nursery.start()
        await self.come()
        self._neighbour, self._other_device = await self._start_guest("beta")
        self.key = f"qmp:{self._device.control}"

    async def _start_guest(self, name: str) -> tuple[ProcessGuest, DeviceProcess]:
        device = DeviceProcess(name, size=_SIZE, directory=self.directory)
        await device.start()
        guest = ProcessGuest(
            name,
            size=_SIZE,
            directory=self.directory,
            device_socket=device.socket,
            nursery=self._nursery,
        )
        await guest.start()
        return guest, device

    async def close(self) -> None:
        """End them all."""
        await self.leave()
        await self._neighbour.stop()
        await self._other_device.stop()
        await self._nursery.kill()

    async def connect(self, *, read_only: bool = False) -> QmpConnector:
        """Return a connector to both devices."""
        connector = QmpConnector([str(self.directory / "*.sock")], read_only=read_only)
        await connector.start()
        return connector

    async def size(self) -> int:
        """Ask the device, which serves many at once."""
        link = await open_link(str(self._device.control), self.limit)
        try:
            (answer,) = await link.ask(Ask("query-balloon"))
        finally:
            link.close()
        size: int = answer["actual"]
        return size

    @property
    def other(self) -> str:
        """The key of the other guest."""
        return f"qmp:{self._other_device.control}"

    async def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Ask the guest's model of a kernel."""
        return await self._guest.counters()

    @contextlib.contextmanager
    def hang(self) -> Iterator[None]:
        """Freeze the device."""
        assert self._device.pid is not None
        os.kill(self._device.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._device.pid, signal.SIGCONT)

    async def leave(self) -> None:
        """End the guest and its device."""
        await self._guest.stop()
        await self._device.stop()

    async def come(self) -> None:
        """Start them."""
        self._guest, self._device = await self._start_guest("alpha")


class TestDriverWorld(World):
    """libvirt's own stand-in for a hypervisor, which lives in the connector's helper."""

    __test__ = False  # pytest takes its name for that of a test

    can = frozenset({Can.MOVE, Can.EXAMINE})
    setup: Mapping[str, object] = {"kind": "libvirt", "running": True}
    name = "test"
    key = "libvirt:6695eb01-f6a4-8304-79aa-97f2502e193f"
    max_size = 8 * GIB
    small_size = GIB

    async def start(self) -> None:
        """There is nothing to start."""

    async def close(self) -> None:
        """There is nothing to end."""

    async def connect(self, *, read_only: bool = False) -> LibvirtConnector:
        """Return a connector; its domain is its own."""
        connector = LibvirtConnector("test:///default", read_only=read_only)
        await connector.start()
        return connector

    async def size(self) -> int:
        """Return the size at which its domain begins; nobody else sees it."""
        return (await self.read()).guest_size
