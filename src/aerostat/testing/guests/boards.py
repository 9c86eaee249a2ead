"""The machines that QEMU emulates for the laboratory's guests, as data: a PC, and a mainframe.

Pure. What is told of each is only what differs between them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Board:
    """A machine, and the kernel that runs on it."""

    machine: str
    """What QEMU calls it."""
    processor: str
    balloon: str
    """QEMU's own balloon device for it."""
    modules: tuple[str, ...]
    """What the guest's kernel loads when it boots."""
    console: str
    """Its kernel's name for where QEMU's first ``-serial`` goes."""
    commands: tuple[str, ...]
    """QEMU's arguments that bring the character device `commands` into the guest."""
    commands_device: str
    """What that is in the guest."""


PC = Board(
    machine="q35",
    processor="qemu64",
    balloon="virtio-balloon-pci",
    modules=("virtio_pci", "virtio_balloon"),
    console="ttyS0",
    commands=("-serial", "chardev:commands"),
    commands_device="/dev/ttyS1",
)

#: Big-endian. Its balloon is a transitional device, and with ``max_revision=0`` a legacy one, whose
#: rings and statistics are then in the guest's own byte order (virtio 1.2, 2.7.1 and 4.3.2.1.3).
S390X = Board(
    machine="s390-ccw-virtio",
    processor="max",
    balloon="virtio-balloon-ccw",
    modules=("virtio_balloon", "virtio_console"),
    console="ttysclp0",
    commands=(
        *("-device", "virtio-serial-ccw"),
        *("-device", "virtconsole,chardev=commands"),
    ),
    commands_device="/dev/hvc0",
)
