"""QEMU guests: Debian's cloud kernel and busybox, with QEMU's own balloon or a device process.

Needs QEMU (any from 7.2 on; emulation is enough, KVM is used only on request) and what
``make lab`` puts into build/lab; a guest is up in about five seconds. Touches processes, the run
directory, and the parts in build/lab.
"""

import functools
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from aerostat.errors import MissingError
from aerostat.testing.guests import initramfs, inside
from aerostat.testing.guests.boards import PC, Board
from aerostat.testing.guests.modules import find_modules, read_module
from aerostat.testing.guests.parts import GET_NEWER, find_part, lab_directory
from aerostat.testing.guests.shell import ShellGuest
from aerostat.units import MIB

PROGRAM = "qemu-system-x86_64"
GET_IT = "get it with: make lab"
S390X_PROGRAM = "qemu-system-s390x"
GET_S390X = "make lab-s390x"

#: Properties of QEMU's own balloon, unless a guest is given others.
OWN_BALLOON = "deflate-on-oom=on"

# Without init_on_alloc an inflation is five times as fast when emulated.
KERNEL_ARGUMENTS = ("loglevel=1", "panic=-1", "init_on_alloc=0")

# QEMU's device for any vhost-user back-end, which users can create since QEMU 10.2.
GENERIC_DEVICE = "vhost-user-test-device-pci"
#: Its parameters for a balloon: virtio 1.2, 5.5.1 (device id), 5.5.2 (queues), 5.5.4.
GENERIC_BALLOON = "virtio-id=5,num_vqs=5,vq_size=128,config_size=16"

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


def find_generic_program() -> str:
    """Return a QEMU program that has `GENERIC_DEVICE`: the usual one, or the laboratory's."""
    program = find_program()
    return program if has_device(program, GENERIC_DEVICE) else str(find_part("qemu11", GET_NEWER))


@functools.cache
def has_device(program: str, device: str) -> bool:
    """Whether a QEMU program knows `device`, and users can create it."""
    command = [program, "-device", f"{device},help"]
    answer = subprocess.run(command, capture_output=True, check=False, timeout=20)
    # The exit status is 0 in any case.
    return answer.stdout.startswith(f"{device} options".encode())


class Parts:
    """QEMU, a kernel, its modules and a busybox.

    `directory` is where they are, in place of $AEROSTAT_LAB or build/lab; `program` is the QEMU.
    Raises `MissingError`.
    """

    def __init__(self, directory: Path | None = None, program: str | None = None) -> None:
        self.directory = directory or lab_directory()
        self.program = program or find_program()
        try:
            self.kernel = next(self.directory.glob("boot/vmlinuz-*"))
            release = self.kernel.name.removeprefix("vmlinuz-")
            trees = [self.directory / tree for tree in ("lib/modules", "usr/lib/modules")]
            self.modules = next(tree / release for tree in trees if (tree / release).is_dir())
            binaries = [self.directory / place for place in ("bin/busybox", "usr/bin/busybox")]
            self.busybox = next(binary for binary in binaries if binary.exists())
        except StopIteration:
            raise MissingError(f"no guest kernel in {self.directory}; {GET_IT}") from None

    @classmethod
    def of_linux(cls, series: str, program: str | None = None) -> "Parts":
        """Return those with a kernel of a series, such as ``6.12``, or with the ``newest``."""
        own = cls(program=program)
        if own.kernel.name.startswith(f"vmlinuz-{series}."):
            return own
        name = series if series == "newest" else f"linux{series}"
        return cls(find_part(name, GET_NEWER), program)

    @classmethod
    def of_s390x(cls) -> "Parts":
        """Return those of a big-endian guest, for `boards.S390X`."""
        program = shutil.which(S390X_PROGRAM)
        if program is None:
            raise MissingError(f"no {S390X_PROGRAM} here; get it with: {GET_S390X}")
        return cls(find_part("s390x", GET_S390X), program)

    def initramfs(self, modules: Sequence[str] = PC.modules, init: str = "init.sh") -> bytes:
        """Return the guest's root file system: busybox, kernel `modules`, and a script as init.

        `init` is the script's name in `inside`.
        """
        order = find_modules(self.modules, *modules)
        images = {f"{file.name.partition('.')[0]}.ko": read_module(file) for file in order}
        files = {f"modules/{name}": image for name, image in images.items()}
        files["modules/order"] = "".join(f"{name}\n" for name in images).encode()
        files["bin/busybox"] = self.busybox.read_bytes()
        files["init"] = (resources.files(inside) / init).read_bytes()
        return initramfs.pack(files, {"bin/sh": "busybox"})


class QemuGuest(ShellGuest):
    """One QEMU guest, from `start` to `stop`.

    `size` is the guest's memory in bytes; `directory` is where its log and its QMP socket
    `control`, ``NAME.sock`` or ``NAME.qemu.sock``, go, and must have a short path.
    `device_socket` is the vhost-user socket of its balloon device, which takes a QEMU that has
    `GENERIC_DEVICE`; without one the balloon is QEMU's own, with the properties `balloon`.
    `arguments` are further ones for its kernel. `memory` is `MEMFD` or `ANONYMOUS`, which no device
    process can serve; `accelerator` is QEMU's ``-accel``. `disk` is a file that the guest reads as
    its /dev/vda. `options` are further ones of QEMU's. `parts` is what it is made of, when that is
    not the usual, and `board` the machine that this is for.
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
        disk: Path | None = None,
        options: Sequence[str] = (),
        board: Board = PC,
        parts: Parts | None = None,
    ) -> None:
        super().__init__(name, directory=directory)
        self.size = size
        self.device_socket = device_socket
        self.balloon = balloon
        self.arguments = arguments
        self.memory = memory
        self.accelerator = accelerator
        self.disk = disk
        self.options = options
        self.board = board
        self._parts = parts
        # NAME.sock is where managers look for a balloon: with a device process, that is its own.
        self.control = directory / (f"{name}.qemu.sock" if device_socket else f"{name}.sock")
        self.kernel_log = directory / f"{name}.kernel.log"

    async def start(self, within: float = 60.0) -> None:
        """Boot, and return when the guest obeys and its balloon driver is loaded.

        Raises `MissingError`, or `LinkError` when it does not come up within `within` seconds.
        """
        await self.launch()
        await self.booted(within)

    async def launch(self) -> None:
        """Start QEMU, and return when it runs: the guest boots, or is yet to migrate in.

        Raises `MissingError`.
        """
        parts = self._parts or Parts()
        if self.device_socket is not None and not has_device(parts.program, GENERIC_DEVICE):
            raise MissingError(f"{parts.program} has no {GENERIC_DEVICE}: it is older than 10.2")
        initrd = self.directory / f"{self.name}.initramfs"
        initrd.write_bytes(self._initramfs(parts))
        ours, theirs = socket.socketpair()
        with theirs:
            await self._spawn(
                parts.program,
                *self._machine(),
                *self._balloon(),
                *self._disk(),
                *self.options,
                *("-kernel", parts.kernel, "-initrd", initrd),
                *("-append", " ".join(self._kernel_arguments())),
                *("-serial", f"file:{self.kernel_log}"),
                *("-chardev", f"socket,id=commands,fd={theirs.fileno()}"),
                *self.board.commands,
                descriptors=[theirs.fileno()],
            )
        await self._open_console(ours)

    def _initramfs(self, parts: Parts) -> bytes:
        disk = () if self.disk is None else ("virtio_blk",)
        return parts.initramfs((*self.board.modules, *disk))

    def _kernel_arguments(self) -> list[str]:
        console = f"console={self.board.console}"
        # What the kernel does not know is a variable of init's environment.
        return [
            console,
            f"commands={self.board.commands_device}",
            *KERNEL_ARGUMENTS,
            *self.arguments,
        ]

    def _machine(self) -> list[str]:
        return [
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-name", self.name),
            *("-machine", f"{self.board.machine},memory-backend=memory"),
            *("-accel", self.accelerator, "-cpu", self.board.processor),
            *("-m", f"{self.size // MIB}M"),
            *("-object", f"{self.memory},id=memory,size={self.size // MIB}M"),
            *("-qmp", f"unix:{self.control},server=on,wait=off"),
        ]

    def _balloon(self) -> list[str]:
        if self.device_socket is None:
            return ["-device", f"{self.board.balloon},id=balloon0,{self.balloon}"]
        return [
            *("-chardev", f"socket,id=balloon,path={self.device_socket}"),
            *("-device", f"{GENERIC_DEVICE},chardev=balloon,{GENERIC_BALLOON}"),
        ]

    def _disk(self) -> list[str]:
        if self.disk is None:
            return []
        file = f"file={self.disk},format=raw,readonly=on"
        return ["-drive", f"if=virtio,{file}"]

    async def stop(self, within: float = 10.0) -> None:
        """End the guest: ask it to power off, and kill it after `within` seconds."""
        await self._end_by(lambda: self.command("poweroff", within=within), within)

    async def kill(self) -> None:
        """End the guest at once, and remove its socket."""
        await super().kill()
        self.control.unlink(missing_ok=True)
