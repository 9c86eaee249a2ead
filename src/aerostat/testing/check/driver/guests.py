"""Command lines of guests that anybody has: user-mode Linux, an ordinary process, QEMU.

Touches the laboratory's parts, and writes a QEMU guest's initramfs into the directory it is given.
"""

import sys
from pathlib import Path
from typing import NamedTuple

from aerostat.testing.check.driver.command import PLACE
from aerostat.testing.guests import qemu, uml
from aerostat.testing.guests.boards import PC
from aerostat.testing.guests.initramfs import pack
from aerostat.testing.guests.inside import alone
from aerostat.testing.guests.modules import find_modules
from aerostat.testing.guests.python import GuestPython, package_files
from aerostat.testing.guests.xstate import command_prefix
from aerostat.units import MIB

# A kernel reports free pages only while it has plenty of them: 128 MiB in user-mode Linux.
SIZE = 256 * MIB

# Our driver keeps some memory for the guest, and takes pages back where that is used up.
_LEFT_TO_US_MIB = 80

_OUR_DRIVER = b"""#!/bin/sh
PYTHONPATH=/opt/aerostat exec python3 -m aerostat.guest
"""


class KnownGuest(NamedTuple):
    """A guest: its `command` line, what it is called, and who it is to the table of deviations."""

    command: list[str]
    name: str
    who: str


def uml_guest(directory: Path) -> KnownGuest:
    """Return a user-mode Linux whose init loads the balloon driver and keeps using memory.

    Raises `MissingError`.
    """
    del directory  # nothing has to be made
    kernel = uml.find_kernel()
    modules = find_modules(uml.modules_directory(kernel), "virtio_balloon")
    command = [
        *command_prefix(),
        str(kernel),
        f"mem={SIZE // MIB}M",
        *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
        f"init={uml.base_interpreter()}",
        f"virtio_uml.device={PLACE}:5",
        *("con0=null,fd:1", "con=null"),
        *("--", "-I", "-S", alone.__file__, *map(str, modules)),
    ]
    return KnownGuest(command, f"user-mode Linux {uml.kernel_release(kernel)}", "Linux")


def process_guest(directory: Path) -> KnownGuest:
    """Return a process guest, which waits for another device when it loses one."""
    del directory
    module = ("-m", "aerostat.process_guest")
    options = ("--socket", PLACE, "--size", f"{SIZE}B", "--reconnect")
    return KnownGuest([sys.executable, *module, *options], "process guest", "aerostat")


def qemu_guest(directory: Path) -> KnownGuest:
    """Return a QEMU guest of the laboratory's, whose initramfs goes to `directory`.

    Raises `MissingError` where there is none, or only a QEMU that is older than 10.2.
    """
    parts = qemu.Parts(program=qemu.find_generic_program())
    files = parts.initramfs(init="alone.sh")
    name = f"{parts.kernel.name} in {Path(parts.program).name}"
    return KnownGuest(_qemu_command(parts, files, directory), name, "QEMU")


def our_guest(directory: Path) -> KnownGuest:
    """Return a QEMU guest with our own driver in the place of the kernel's, as `qemu_guest`."""
    parts = qemu.Parts(program=qemu.find_generic_program())
    python = GuestPython.here()
    files = parts.initramfs(("virtio_pci",), init="alone.sh")
    files += python.archive(parts.directory / "cache")
    files += pack({**package_files(python), "driver": _OUR_DRIVER})
    command = _qemu_command(parts, files, directory, f"left_mib={_LEFT_TO_US_MIB}")
    return KnownGuest(command, "aerostat guest", "QEMU")


def _qemu_command(parts: qemu.Parts, files: bytes, directory: Path, *arguments: str) -> list[str]:
    initramfs = directory / "initramfs"
    initramfs.write_bytes(files)
    size = f"{SIZE // MIB}M"
    return [
        parts.program,
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-machine", f"{PC.machine},memory-backend=memory"),
        *("-accel", qemu.TCG, "-cpu", PC.processor, "-m", size),
        *("-object", f"{qemu.MEMFD},id=memory,size={size},share=on"),
        *("-chardev", f"socket,id=balloon,path={PLACE}"),
        *("-device", f"{qemu.GENERIC_DEVICE},chardev=balloon,{qemu.GENERIC_BALLOON}"),
        *("-kernel", str(parts.kernel), "-initrd", str(initramfs)),
        *("-append", " ".join((f"console={PC.console}", *qemu.KERNEL_ARGUMENTS, *arguments))),
        *("-serial", "stdio"),
    ]


_GUESTS = {
    "uml": uml_guest,
    "process": process_guest,
    "qemu": qemu_guest,
    "aerostat": our_guest,
}


def known_guest(kind: str, directory: Path) -> KnownGuest:
    """Return the guest of a kind, a key of `_GUESTS`. Raises `MissingError`."""
    return _GUESTS[kind](directory)
