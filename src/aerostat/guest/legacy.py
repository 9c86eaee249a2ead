"""The legacy interface of a transitional virtio-pci device (virtio 1.2, 4.1.4.10 and 2.7.2).

Touches the I/O ports of BAR 0. One header of registers, in the guest's own byte order; a queue
has the size that the device says, in one piece of memory aligned to 4096 bytes; the first 32
features only. Standard library only, Python 3.9.
"""

from __future__ import annotations

from aerostat.errors import PeerError
from aerostat.guest.registers import Registers
from aerostat.virtio.memory import Byteorder
from aerostat.virtio.ring import RingLayout

_FEATURES = 0
_GUEST_FEATURES = 4
_QUEUE_PFN = 8
_QUEUE_SIZE = 12
_QUEUE_SELECT = 14
_QUEUE_NOTIFY = 16
_STATUS = 18
_ISR = 19
# Without MSI-X, which was switched off; with it four bytes further on.
_DEVICE_CONFIG = 20

_PAGE = 4096


class LegacyTransport:
    """A device by its legacy header; `byteorder` is the guest's."""

    is_modern = False
    ring_align = _PAGE
    fixed_size = True

    def __init__(self, registers: Registers, byteorder: Byteorder) -> None:
        self.byteorder = byteorder
        self._registers = registers

    def __str__(self) -> str:
        return "legacy"

    def status(self) -> int:
        """Return the device status."""
        return self._registers.load(_STATUS, 1)

    def set_status(self, status: int) -> None:
        """Set the device status; 0 asks for a reset."""
        self._registers.store(_STATUS, 1, status)

    def offered(self) -> int:
        """Return the features that the device offers here, never more than 32."""
        return self._registers.load(_FEATURES, 4)

    def accept(self, features: int) -> None:
        """Tell the device which features it is to have."""
        self._registers.store(_GUEST_FEATURES, 4, features)

    def queue_size(self, index: int) -> int:
        """Return how many descriptors queue `index` has; 0 if there is no such queue."""
        self._registers.store(_QUEUE_SELECT, 2, index)
        return self._registers.load(_QUEUE_SIZE, 2)

    def start_queue(self, index: int, _size: int, layout: RingLayout) -> None:
        """Tell the device where queue `index` is, and start it; its size is the device's own."""
        page, beyond = divmod(layout.desc, _PAGE)
        if beyond or page >> 32:
            raise PeerError(f"a legacy device cannot be told of a ring at {layout.desc:#x}")
        self._registers.store(_QUEUE_SELECT, 2, index)
        self._registers.store(_QUEUE_PFN, 4, page)

    def notify(self, index: int) -> None:
        """Tell the device that queue `index` has something for it."""
        self._registers.store(_QUEUE_NOTIFY, 2, index)

    def read_config(self, offset: int) -> int:
        """Return a 32-bit field of the balloon's configuration space."""
        return self._registers.load(_DEVICE_CONFIG + offset, 4)

    def write_config(self, offset: int, value: int) -> None:
        """Set a 32-bit field of the balloon's configuration space, in one access (5.5.6.2.1)."""
        self._registers.store(_DEVICE_CONFIG + offset, 4, value)

    def take_interrupt(self) -> int:
        """Return the ISR, and clear it by that: 1 for used buffers, 2 for the configuration."""
        return self._registers.load(_ISR, 1)

    def close(self) -> None:
        """Let go of the ports."""
        self._registers.close()
