"""Worlds of real Linux guests in plain QEMU and in libvirt's, for the connectors' contract.

Needs QEMU and a guest kernel (``make lab-qemu``), and libvirt (``make lab-libvirt``). Touches
processes, and the run directory.
"""

import asyncio
import contextlib
import os
import re
import signal
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from aerostat.hypervisors.libvirt.connector import LibvirtConnector
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.hypervisors.qmp.link import Ask, open_link
from aerostat.testing.conformance.connectors.world import Can, World
from aerostat.testing.guests.libvirt import LibvirtGuest
from aerostat.testing.guests.qemu import QemuGuest
from aerostat.testing.processes.libvirtd import Libvirtd
from aerostat.units import KIB, MIB

_SIZE = 128 * MIB
_PLUGGED = 128 * MIB
# Where memory can be plugged in, Linux sets aside 64 MiB to reach devices through.
_PLUGGABLE = ("swiotlb=512",)
_DISK = 8 * MIB
_READ = 4 * MIB


class BootedWorld(World):
    """A guest with a disk, and another one beside it, both booted in QEMU."""

    can = frozenset(
        {
            Can.STATISTICS, Can.MOVE, Can.LAST, Can.LOOK_INSIDE, Can.EXAMINE, Can.PERIOD, Can.PAUSE,
            Can.REBOOT, Can.PLUG, Can.READ_DISKS, Can.HANG,
        }
    )  # fmt: skip
    setup: Mapping[str, object] = {
        "running": True,
        "balloon": True,
        "driver": True,
        "statistics": True,
        "huge_pages": False,
        "passthrough": False,
        "swap": None,
    }
    name = "alpha"
    max_size = _SIZE
    small_size = _SIZE - 24 * MIB
    guest: QemuGuest | LibvirtGuest

    def make_disk(self) -> Path:
        """Return the file that is the guest's disk."""
        disk = self.directory / "alpha.disk"
        disk.write_bytes(os.urandom(_DISK))
        return disk

    async def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Ask the guest's own /proc."""
        return await self.guest.counters()

    async def read_disk(self) -> int:
        """Have the guest read what it has not kept of its disk."""
        await self.guest.run("echo 3 >/proc/sys/vm/drop_caches")
        count = _READ // MIB
        ran = await self.guest.run(f"dd if=/dev/vda of=/dev/null bs=1M count={count}")
        assert ran.status == 0, ran.output
        return _READ

    @contextlib.contextmanager
    def hang(self) -> Iterator[None]:
        """Freeze the guest's QEMU."""
        assert self.guest.pid is not None
        os.kill(self.guest.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.guest.pid, signal.SIGCONT)

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Have the machine stand still."""
        await self.stand_still()
        try:
            yield
        finally:
            await self.go_on()

    async def reboot(self) -> None:
        """Reset the machine, and wait until the guest is up."""
        await self.reset()
        await self.guest.booted()

    @abstractmethod
    async def stand_still(self) -> None:
        """Pause the machine."""

    @abstractmethod
    async def go_on(self) -> None:
        """Have it run again."""

    @abstractmethod
    async def reset(self) -> None:
        """Reset the machine."""


class QemuWorld(BootedWorld):
    """Plain QEMU, by the QMP connector; the test has monitors of its own."""

    setup: Mapping[str, object] = {
        **BootedWorld.setup,
        "kind": "qemu",
        "locked_memory": False,
        "deflate_on_oom": True,
        "free_page_reporting": False,
    }

    async def start(self) -> None:
        """Boot both."""
        own = self.directory / "alpha.own"
        options = ("-qmp", f"unix:{own},server=on,wait=off", "-m", "slots=2,maxmem=512M")
        self.guest = QemuGuest(
            "alpha",
            size=_SIZE,
            directory=self.directory,
            disk=self.make_disk(),
            options=options,
            arguments=_PLUGGABLE,
        )
        self._neighbour = QemuGuest("beta", size=_SIZE, directory=self.directory)
        self.key = f"qmp:{self.guest.control}"
        await asyncio.gather(self.guest.start(), self._neighbour.start())
        self._monitor = await open_link(str(own), self.limit)
        await self._ask("set-action", reboot="reset")  # QEMU guests end when they would reboot

    async def close(self) -> None:
        """End both."""
        await self.guest.kill()
        await self._neighbour.kill()

    async def connect(self, *, read_only: bool = False) -> QmpConnector:
        """Return a connector to all monitors that are not the test's."""
        connector = QmpConnector([str(self.directory / "*.sock")], read_only=read_only)
        await connector.start()
        return connector

    async def size(self) -> int:
        """Ask the other monitor."""
        size: int = (await self._ask("query-balloon"))["actual"]
        return size

    @property
    def other(self) -> str:
        """The key of the other guest."""
        return f"qmp:{self._neighbour.control}"

    async def period(self) -> int:
        """Ask the other monitor."""
        path = "/machine/peripheral/balloon0"
        arguments = {"path": path, "property": "guest-stats-polling-interval"}
        period: int = await self._ask("qom-get", **arguments)
        return period

    async def stand_still(self) -> None:
        """Pause the machine."""
        await self._ask("stop")

    async def go_on(self) -> None:
        """Have it run again."""
        await self._ask("cont")

    async def reset(self) -> None:
        """Reset the machine."""
        await self._ask("system_reset")

    async def plug(self) -> int:
        """Plug a DIMM."""
        backend = {"qom-type": "memory-backend-ram", "id": "more", "size": _PLUGGED}
        await self._ask("object-add", **backend)
        await self._ask("device_add", driver="pc-dimm", id="dimm0", memdev="more")
        return self.max_size + _PLUGGED

    async def _ask(self, command: str, **arguments: Any) -> Any:
        (answer,) = await self._monitor.ask(Ask(command, arguments or None))
        return answer


_MEMORY = f"""\
<maxMemory slots='2' unit='MiB'>512</maxMemory>
<cpu><numa><cell id='0' cpus='0' memory='{_SIZE // MIB}' unit='MiB'/></numa></cpu>
"""
_DIMM = f"""\
<memory model='dimm'>
  <target><size unit='MiB'>{_PLUGGED // MIB}</size><node>0</node></target>
</memory>
"""
_METADATA = """\
<aerostat:memory xmlns:aerostat='urn:aerostat:domain:1' guarantee='64MiB' shares='2000'/>
"""
# Unlike that of plain QEMU's guest: then MemTotal shrinks with the balloon.
_BALLOON = {"model": "virtio", "autodeflate": "off", "freePageReporting": "on"}
_PERIOD = 1
_STATS_PERIOD = re.compile(r"<stats period='(\d+)'/>")


class LibvirtWorld(BootedWorld):
    """Domains of a libvirtd of their own; the test has virsh."""

    can = BootedWorld.can | {Can.LEAVE}
    setup: Mapping[str, object] = {
        **BootedWorld.setup,
        "kind": "libvirt",
        "agent": "absent",
        "deflate_on_oom": False,
        "free_page_reporting": True,
    }

    async def start(self) -> None:
        """Start libvirtd, and boot both domains."""
        self._libvirtd = Libvirtd(directory=self.directory)
        await self._libvirtd.start()
        self.guest = self.domain = self._domain(
            "alpha",
            disk=self.make_disk(),
            balloon=_BALLOON,
            metadata=_METADATA,
            more=_MEMORY,
            arguments=_PLUGGABLE,
        )
        self._neighbour = self._domain("beta")
        self.key = f"libvirt:{self.domain.uuid}"
        await asyncio.gather(self.domain.start(), self._neighbour.start())

    def _domain(self, name: str, **how: Any) -> LibvirtGuest:
        return LibvirtGuest(
            name, size=_SIZE, directory=self.directory, libvirtd=self._libvirtd, **how
        )

    async def close(self) -> None:
        """End the domains, and libvirtd."""
        await self.domain.kill()
        await self._neighbour.kill()
        await self._libvirtd.stop()

    async def connect(self, *, read_only: bool = False) -> LibvirtConnector:
        """Return a connector of its own."""
        connector = LibvirtConnector(
            self._libvirtd.uri,
            read_only=read_only,
            period=_PERIOD,
            run_directory=self._libvirtd.run_directory,
        )
        await connector.start()
        return connector

    async def size(self) -> int:
        """Ask virsh."""
        stats = await self.domain.virsh("dommemstat")
        return int(dict(line.split() for line in stats.splitlines())["actual"]) * KIB

    @property
    def other(self) -> str:
        """The key of the other domain."""
        return f"libvirt:{self._neighbour.uuid}"

    async def period(self) -> int:
        """Look into the domain's description."""
        found = _STATS_PERIOD.search(await self.domain.virsh("dumpxml"))
        return int(found[1]) if found else 0

    async def stand_still(self) -> None:
        """Pause the domain."""
        await self.domain.virsh("suspend")

    async def go_on(self) -> None:
        """Have it run again."""
        await self.domain.virsh("resume")

    async def reset(self) -> None:
        """Reset the domain."""
        await self.domain.virsh("reset")

    async def plug(self) -> int:
        """Attach a DIMM."""
        dimm = self.directory / "dimm.xml"
        dimm.write_text(_DIMM)
        await self.domain.virsh("attach-device", str(dimm), "--live")
        return self.max_size + _PLUGGED

    async def leave(self) -> None:
        """Destroy the domain."""
        await self.domain.virsh("destroy")
        await self.domain.kill()  # hangs up its console

    async def come(self) -> None:
        """Create it again."""
        await self.domain.start()
