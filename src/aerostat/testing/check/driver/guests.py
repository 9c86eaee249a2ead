"""Command lines of guests that anybody has: user-mode Linux, an ordinary process, QEMU.

Touches the laboratory's parts, and writes a QEMU guest's initramfs into the directory it is given.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from aerostat.testing.check.driver.command import PLACE
from aerostat.testing.guests import qemu, uml
from aerostat.testing.guests.boards import PC
from aerostat.testing.guests.inside import alone
from aerostat.testing.guests.modules import find_modules
from aerostat.units import MIB

# A kernel reports free pages only while it has plenty of them: 128 MiB in user-mode Linux.
SIZE = 256 * MIB


def uml_command(directory: Path) -> list[str]:
    """Return a user-mode Linux whose init loads the balloon driver and keeps using memory."""
    del directory  # nothing has to be made
    kernel = uml.find_kernel()
    modules = find_modules(uml.modules_directory(kernel), "virtio_balloon")
    return [
        str(kernel),
        f"mem={SIZE // MIB}M",
        *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
        f"init={uml.base_interpreter()}",
        f"virtio_uml.device={PLACE}:5",
        *("con0=null,fd:1", "con=null"),
        *("--", "-I", "-S", alone.__file__, *map(str, modules)),
    ]


def process_command(directory: Path) -> list[str]:
    """Return a process guest, which waits for another device when it loses one."""
    del directory
    module = ("-m", "aerostat.process_guest")
    return [sys.executable, *module, "--socket", PLACE, "--size", f"{SIZE}B", "--reconnect"]


def qemu_command(directory: Path) -> list[str]:
    """Return a QEMU guest of the laboratory's, whose initramfs goes to `directory`.

    Raises `MissingError` where there is none, or only a QEMU that is older than 10.2.
    """
    program = qemu.find_generic_program()
    parts = qemu.Parts(program=program)
    initramfs = directory / "initramfs"
    initramfs.write_bytes(parts.initramfs(init="alone.sh"))
    size = f"{SIZE // MIB}M"
    return [
        program,
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-machine", f"{PC.machine},memory-backend=memory"),
        *("-accel", qemu.TCG, "-cpu", PC.processor, "-m", size),
        *("-object", f"{qemu.MEMFD},id=memory,size={size},share=on"),
        *("-chardev", f"socket,id=balloon,path={PLACE}"),
        *("-device", f"{qemu.GENERIC_DEVICE},chardev=balloon,{qemu.GENERIC_BALLOON}"),
        *("-kernel", str(parts.kernel), "-initrd", str(initramfs)),
        *("-append", f"console={PC.console} {' '.join(qemu.KERNEL_ARGUMENTS)}"),
        *("-serial", "stdio"),
    ]


_COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "uml": uml_command,
    "process": process_command,
    "qemu": qemu_command,
}


#: Who each of them is to the table of known deviations.
WHO = {"uml": "Linux", "process": "aerostat", "qemu": "QEMU"}


def command(guest: str, directory: Path) -> list[str]:
    """Return the command line of a guest by its name: ``uml``, ``process`` or ``qemu``."""
    return _COMMANDS[guest](directory)
