"""QEMU guests: Debian's cloud kernel and busybox, with QEMU's own balloon or a device process.

Needs QEMU (any from 7.2 on; emulation is enough, KVM is used only on request) and what
``make lab`` puts into build/lab; a guest is up in about five seconds. Touches processes, the run
directory, and the parts in build/lab.
"""

import asyncio
import contextlib
import functools
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from aerostat.errors import LinkError, MissingError, PeerError
from aerostat.testing import initramfs
from aerostat.testing.modules import find_modules, read_module
from aerostat.testing.process import LabProcess
from aerostat.units import MIB

PROGRAM = "qemu-system-x86_64"
GET_IT = "get it with: make lab"
_MODULES = ("virtio_pci", "virtio_balloon")

#: Properties of QEMU's own balloon, unless a guest is given others.
OWN_BALLOON = "deflate-on-oom=on"

# Without init_on_alloc an inflation is five times as fast when emulated.
_KERNEL_ARGUMENTS = "console=ttyS0 loglevel=1 panic=-1 init_on_alloc=0"

# QEMU's device for any vhost-user back-end, which users can create since QEMU 10.2.
GENERIC_DEVICE = "vhost-user-test-device-pci"
# Its own parameters for a balloon: virtio 1.2, 5.5.1 (device id), 5.5.2 (queues), 5.5.4.
_BALLOON = "virtio-id=5,num_vqs=5,vq_size=128,config_size=16"

# Emulation. The small translation buffer keeps QEMU's own memory small.
TCG = "tcg,tb-size=16"

# What a guest's memory is made of: a file that can be shared, or ordinary anonymous memory.
MEMFD = "memory-backend-memfd"
ANONYMOUS = "memory-backend-ram"


def find_program() -> str:
    """Return the QEMU program: $AEROSTAT_QEMU, or what the distribution installed."""
    wanted = os.environ.get("AEROSTAT_QEMU", PROGRAM)
    found = shutil.which(wanted)
    if found is None:
        raise MissingError(f"no QEMU here ({wanted}); {GET_IT}")
    return found


@functools.cache
def has_device(program: str, device: str) -> bool:
    """Whether a QEMU program knows `device`, and users can create it."""
    command = [program, "-device", f"{device},help"]
    answer = subprocess.run(command, capture_output=True, check=False, timeout=20)
    # The exit status is 0 in any case.
    return answer.stdout.startswith(f"{device} options".encode())


class Parts:
    """The kernel, its modules and a busybox, in $AEROSTAT_LAB or build/lab.

    Raises `MissingError`.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or Path(os.environ.get("AEROSTAT_LAB", "build/lab"))
        self.program = find_program()
        try:
            self.kernel = next(self.directory.glob("boot/vmlinuz-*"))
            release = self.kernel.name.removeprefix("vmlinuz-")
            trees = [self.directory / tree for tree in ("lib/modules", "usr/lib/modules")]
            self.modules = next(tree / release for tree in trees if (tree / release).is_dir())
            self.busybox = next(self.directory.glob("**/bin/busybox"))
        except StopIteration:
            raise MissingError(f"no guest kernel in {self.directory}; {GET_IT}") from None

    def initramfs(self) -> bytes:
        """Return the guest's root file system: busybox, the modules, and a shell script as init."""
        modules = {
            f"{file.name.partition('.')[0]}.ko": read_module(file)
            for file in find_modules(self.modules, *_MODULES)
        }
        files = {f"modules/{name}": module for name, module in modules.items()}
        files["modules/order"] = "".join(f"{name}\n" for name in modules).encode()
        files["bin/busybox"] = self.busybox.read_bytes()
        files["init"] = (resources.files(__package__) / "guest_init.sh").read_bytes()
        return initramfs.pack(files, {"bin/sh": "busybox"})


class QemuGuest(LabProcess):
    """One QEMU guest, from `start` to `stop`.

    `size` is the guest's memory in bytes; `directory` is where its log and its QMP socket
    `control`, ``NAME.sock`` or ``NAME.qemu.sock``, go, and must have a short path.
    `device_socket` is the vhost-user socket of its balloon device, which takes a QEMU that has
    `GENERIC_DEVICE`; without one the balloon is QEMU's own, with the properties `balloon`.
    `arguments` are further ones for its kernel. `memory` is `MEMFD` or `ANONYMOUS`, which no device
    process can serve; `accelerator` is QEMU's ``-accel``.
    """

    def __init__(
        self,
        name: str,
        *,
        size: int,
        directory: Path,
        device_socket: Path | None = None,
        balloon: str = OWN_BALLOON,
        arguments: Sequence[str] = (),
        memory: str = MEMFD,
        accelerator: str = TCG,
    ) -> None:
        super().__init__(name, directory=directory)
        self.size = size
        self.device_socket = device_socket
        self.balloon = balloon
        self.arguments = arguments
        self.memory = memory
        self.accelerator = accelerator
        # NAME.sock is where managers look for a balloon: with a device process, that is its own.
        self.control = directory / (f"{name}.qemu.sock" if device_socket else f"{name}.sock")
        self.kernel_log = directory / f"{name}.kernel.log"
        self.release = ""
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._turn = asyncio.Lock()
        self._number = 0

    async def start(self, within: float = 60.0) -> None:
        """Boot, and return when the guest obeys and its balloon driver is loaded.

        Raises `MissingError`, or `LinkError` when it does not come up within `within` seconds.
        """
        parts = Parts()
        if self.device_socket is not None and not has_device(parts.program, GENERIC_DEVICE):
            raise MissingError(f"{parts.program} has no {GENERIC_DEVICE}: it is older than 10.2")
        initrd = self.directory / f"{self.name}.initramfs"
        initrd.write_bytes(self._initramfs(parts))
        ours, theirs = socket.socketpair()
        with theirs:
            await self._spawn(
                parts.program,
                *self._machine(),
                *("-kernel", parts.kernel, "-initrd", initrd),
                *("-append", " ".join([_KERNEL_ARGUMENTS, *self.arguments])),
                *("-serial", f"file:{self.kernel_log}"),
                *("-chardev", f"socket,id=commands,fd={theirs.fileno()}"),
                *("-serial", "chardev:commands"),
                descriptors=[theirs.fileno()],
            )
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        await self.booted(within)

    async def booted(self, within: float = 60.0) -> None:
        """Return when the guest obeys, for one that was reset. Raises as `start` does."""
        try:
            async with asyncio.timeout(within):
                self.release = (await self._line()).removeprefix("ready ")
        except (TimeoutError, LinkError) as error:
            await self.kill()
            raise LinkError(f"guest {self.name} did not come up: {self.last_words()}") from error

    @property
    def version(self) -> tuple[int, int]:
        """The version of its Linux, such as (6, 1)."""
        major, minor = self.release.split(".")[:2]
        return int(major), int(minor)

    def _initramfs(self, parts: Parts) -> bytes:
        return parts.initramfs()

    def _machine(self) -> list[str]:
        return [
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-name", self.name),
            *("-machine", "q35,memory-backend=memory", "-accel", self.accelerator),
            *("-cpu", "qemu64", "-m", f"{self.size // MIB}M"),
            *("-object", f"{self.memory},id=memory,size={self.size // MIB}M"),
            *self._balloon(),
            *("-qmp", f"unix:{self.control},server=on,wait=off"),
        ]

    def _balloon(self) -> list[str]:
        if self.device_socket is None:
            return ["-device", f"virtio-balloon-pci,id=balloon0,{self.balloon}"]
        return [
            *("-chardev", f"socket,id=balloon,path={self.device_socket}"),
            *("-device", f"{GENERIC_DEVICE},chardev=balloon,{_BALLOON}"),
        ]

    async def _line(self) -> str:
        assert self._reader is not None
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise LinkError(f"guest {self.name} is gone", retryable=False)
        return line.decode(errors="replace").rstrip()

    async def command(self, do: str, argument: object = "", *, within: float = 60.0) -> list[str]:
        """Have the guest do something (see ``guest_init.sh``), and return the lines it says.

        Raises `PeerError` where it failed in the guest, `LinkError` where it did not answer
        within `within` seconds, after which the guest can no longer be talked to.
        """
        async with self._turn:
            if self._writer is None:
                raise LinkError(f"guest {self.name} is not running", retryable=False)
            self._number += 1
            try:
                self._writer.write(f"{self._number} {do} {argument}\n".encode())
                async with asyncio.timeout(within):
                    return await self._answer(do)
            except (TimeoutError, OSError) as error:
                raise LinkError(f"guest {self.name} did not {do} within {within} s") from error

    async def _answer(self, do: str) -> list[str]:
        lines = []
        # The kernel speaks on the same console, and not only between two lines.
        ends = re.compile(rf"={self._number} (\d+)")
        while (end := ends.search(line := await self._line())) is None:
            lines.append(line)
        if end[1] != "0":
            raise PeerError(f"guest {self.name}: {do} failed: {' | '.join(lines)}")
        return lines

    async def counters(self) -> dict[str, dict[str, int]]:
        """Return the guest's own `vmstat` (as /proc has it) and `meminfo` (in bytes)."""
        vmstat, meminfo = {}, {}
        for line in await self.command("counters"):
            name, value, *unit = line.split()
            if name.endswith(":"):
                meminfo[name[:-1]] = int(value) * (1024 if unit else 1)
            else:
                vmstat[name] = int(value)
        return {"vmstat": vmstat, "meminfo": meminfo}

    async def fill(self, size: int) -> None:
        """Have the guest hold `size` bytes more."""
        await self.command("fill", size // MIB)

    async def free(self) -> None:
        """Have the guest let go of all it holds by `fill`."""
        await self.command("free")

    async def stop(self, within: float = 10.0) -> None:
        """End the guest: ask it to power off, and kill it after `within` seconds."""
        await self._end_by(lambda: self.command("poweroff", within=within), within)

    async def kill(self) -> None:
        """End the guest at once, and remove its socket."""
        await super().kill()
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        self.control.unlink(missing_ok=True)
