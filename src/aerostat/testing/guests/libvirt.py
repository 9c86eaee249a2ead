"""libvirt guests: domains of a `Libvirtd`, emulated, of the same kernel and busybox as QEMU guests.

Touches processes (by virsh), the run directory, and the parts in build/lab.
"""

import asyncio
import contextlib
import shutil
import socket
import uuid
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from types import MappingProxyType

from aerostat.errors import LinkError, PeerError
from aerostat.testing.guests.boards import PC
from aerostat.testing.guests.qemu import KERNEL_ARGUMENTS, Parts
from aerostat.testing.guests.shell import ShellGuest
from aerostat.testing.polling import until
from aerostat.testing.processes.libvirtd import Libvirtd
from aerostat.testing.processes.sessions import Session

#: The attributes of a guest's ``<memballoon>``, unless it is given others.
BALLOON = MappingProxyType({"model": "virtio", "autodeflate": "on"})

# The translation cache keeps QEMU's own memory small, as in QEMU guests.
_DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <metadata>{metadata}</metadata>
  <memory unit='b'>{size}</memory>
  {more}
  <os>
    <type arch='x86_64' machine='{machine}'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{command_line}</cmdline>
  </os>
  <features>
    <acpi/>
    <tcg><tb-cache unit='MiB'>16</tb-cache></tcg>
  </features>
  <devices>
    <emulator>{emulator}</emulator>
    <controller type='usb' model='none'/>
    <serial type='file'><source path='{kernel_log}'/><target port='0'/></serial>
    <serial type='unix'><source mode='connect' path='{console}'/><target port='1'/></serial>
    {balloon}
    {devices}
  </devices>
</domain>
"""
_DISK = """\
<disk type='file' device='disk'>
  <driver name='qemu' type='raw'/>
  <source file='{file}'/>
  <target dev='vda' bus='virtio'/>
  <readonly/>
</disk>
"""


class LibvirtGuest(ShellGuest):
    """One domain, from `start` to `stop`; `name` and `uuid` are what libvirt knows it by.

    `size` is the guest's memory in bytes. `balloon` are the attributes of its ``<memballoon>``, and
    `period` that of the ``<stats>`` in it, in seconds; None is no such element. `metadata`,
    `devices` and `more` are further XML: in ``<metadata>``, in ``<devices>``, and in ``<domain>``
    itself. `arguments` are further ones for its kernel. `disk` is a file in the run directory that
    the guest reads as its /dev/vda. `parts` is what it is made of, when that is not the usual.
    """

    def __init__(
        self,
        name: str,
        *,
        size: int,
        directory: Path,
        libvirtd: Libvirtd,
        balloon: Mapping[str, str] = BALLOON,
        period: int | None = None,
        metadata: str = "",
        devices: str = "",
        more: str = "",
        arguments: Sequence[str] = (),
        disk: Path | None = None,
        parts: Parts | None = None,
    ) -> None:
        super().__init__(name, directory=directory)
        self.size = size
        self.libvirtd = libvirtd
        self.balloon = balloon
        self.period = period
        self.metadata = metadata
        self.devices = devices
        self.more = more
        self.arguments = arguments
        self.disk = disk
        self.uuid = str(uuid.uuid4())
        self.kernel_log = directory / f"{name}.kernel.log"
        self._parts = parts
        self._console = directory / f"{name}.console"

    @property
    def pid(self) -> int | None:
        """The process that is the machine; None while there is none."""
        return next(iter(self._session.members()), None) if self._session is not None else None

    @property
    def alive(self) -> bool:
        """Whether that process runs."""
        return self.pid is not None

    async def start(self, within: float = 60.0) -> None:
        """Have libvirt create the domain; return when it obeys and its balloon driver is loaded.

        Raises `MissingError`, or `LinkError` when it does not come up within `within` seconds.
        """
        xml = self.directory / f"{self.name}.xml"
        xml.write_text(self._xml(self._parts or Parts()))
        self._console.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self._console))
            listener.listen(1)
            listener.setblocking(False)
            await self.libvirtd.virsh("create", xml, within=within)
            console, _ = await asyncio.get_running_loop().sock_accept(listener)
        pid_file = self.libvirtd.run_directory / f"{self.name}.pid"
        self._session = Session.of_daemon(int(pid_file.read_text()))
        self._session.record(self.directory, self.name)
        await self._open_console(console)
        await self.booted(within)

    async def virsh(self, command: str, *arguments: str) -> str:
        """Run a command of virsh's on the domain. Raises `LinkError`."""
        return await self.libvirtd.virsh(command, self.uuid, *arguments)

    def last_words(self) -> str:
        """Return the end of what QEMU and the guest's kernel said."""
        logs = (*self.libvirtd.place.glob(f"**/qemu/**/{self.name}.log"), self.kernel_log)
        said = "".join(log.read_text(errors="replace") for log in logs if log.exists())
        return said.strip()[-500:] or "it said nothing"

    async def stop(self, within: float = 10.0) -> None:
        """End the guest: ask it to power off, and kill it after `within` seconds."""
        # A machine that has powered off is ended by libvirtd.
        if self.alive and self.libvirtd.alive:
            with contextlib.suppress(TimeoutError, LinkError, PeerError):
                await self.command("poweroff", within=within)
                await until(lambda: not self.alive, within=within)
        await self.kill()

    async def kill(self) -> None:
        """End the guest at once."""
        await super().kill()
        Session.forget(self.directory, self.name)
        self._console.unlink(missing_ok=True)

    def _xml(self, parts: Parts) -> str:
        modules = PC.modules if self.disk is None else (*PC.modules, "virtio_blk")
        initrd = self.directory / f"{self.name}.initramfs"
        initrd.write_bytes(parts.initramfs(modules))
        # The kernel may be in a directory that this libvirtd has one of its own of.
        kernel = self.directory / f"{self.name}.vmlinuz"
        shutil.copyfile(parts.kernel, kernel)
        disk = "" if self.disk is None else _DISK.format(file=escape(str(self.disk)))
        words = [
            *(f"console={PC.console}", f"commands={PC.commands_device}"),
            *KERNEL_ARGUMENTS,
            *self.arguments,
        ]
        text = {
            "name": self.name,
            "uuid": self.uuid,
            "size": self.size,
            "machine": PC.machine,
            "kernel": kernel,
            "initrd": initrd,
            "command_line": " ".join(words),
            "emulator": Path(parts.program).absolute(),
            "kernel_log": self.kernel_log,
            "console": self._console,
        }
        return _DOMAIN.format(
            **{name: escape(str(value)) for name, value in text.items()},
            metadata=self.metadata,
            more=self.more,
            balloon=self._balloon(),
            devices=disk + self.devices,
        )

    def _balloon(self) -> str:
        attributes = "".join(f" {name}='{escape(text)}'" for name, text in self.balloon.items())
        stats = "" if self.period is None else f"<stats period='{self.period}'/>"
        return f"<memballoon{attributes}>{stats}</memballoon>"
