"""The transport of PCI, from inside a guest: a real driver's registers, and memory of the guest's.

Implements `machine.Transport` over `guest.transport`. Touches the registers of a device that was
taken from the kernel, and memory at the physical addresses that the device knows. There are no
interrupts here: the device's wish for one is read in its ISR (virtio 1.2, 4.1.4.5).
"""

import time
from collections.abc import Collection

from aerostat.errors import LinkError, PeerError
from aerostat.guest.transport import (
    ACKNOWLEDGE,
    DRIVER,
    DRIVER_OK,
    FEATURES_OK,
    NEEDS_RESET,
    Transport,
    reset,
)
from aerostat.testing.check.checks import Unobservable
from aerostat.testing.check.device.machine import Machine
from aerostat.virtio.memory import Byteorder, GuestMemory
from aerostat.virtio.ring import DriverSide

_LEGACY_FEATURES = 32
_QUEUE, _CONFIGURATION = 1, 2  # in the ISR
# Legacy devices offer this one to find out drivers that take all they see (6.3): QEMU takes all
# features away from these.
_TRAP = 1 << 30
_FIELD = 4
# Between two looks at the ISR; and for the device to do what it was just told of.
_LOOK_EVERY = 0.0005
_SETTLE_SECONDS = 0.01


class PciTransport:
    """The device behind `registers`, of a guest that has `memory`; neither is closed with it."""

    begins_anywhere = False

    def __init__(self, registers: Transport, memory: GuestMemory) -> None:
        self.registers = registers
        self.memory = memory
        self.is_legacy = not registers.is_modern
        self.ring_align = registers.ring_align
        self._interrupts = 0
        self.begin()
        self.offered = registers.offered() & ~(_TRAP if self.is_legacy else 0)

    def begin(self) -> None:
        """Reset the device, and say that there is a driver. Raises `LinkError`."""
        self.reset()
        self.greet(self.registers)

    @staticmethod
    def greet(registers: Transport) -> None:
        """Say to a device that was reset that there is a driver."""
        registers.set_status(ACKNOWLEDGE)
        registers.set_status(ACKNOWLEDGE | DRIVER)

    def close(self) -> None:
        """Reset the device, so that it knows of no rings any more."""
        self.reset()

    # ---- a driver's life

    def ring_size(self, index: int, wanted: int) -> int:
        """Return the size that queue `index` may have. Raises `PeerError` if there is none."""
        most = self.registers.queue_size(index)
        if not most:
            raise PeerError(f"the device says that it has no queue {index}")
        return most if self.registers.fixed_size else min(wanted, most)

    def choose(self, features: int) -> None:
        """Begin anew, and take these features. Raises `PeerError` where they are refused."""
        if self.is_legacy and features >> _LEGACY_FEATURES:
            raise PeerError("the legacy interface has 32 features")
        self.begin()
        self.registers.accept(features)
        if self.is_legacy:
            return
        self.registers.set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK)
        if not self.registers.status() & FEATURES_OK:
            raise PeerError("the device took FEATURES_OK away")

    def describe(
        self,
        index: int,
        ring: DriverSide,
        base: int | None = None,
        *,
        byteorder: Byteorder = "little",
    ) -> None:
        """Tell the device where a queue's ring is, which begins at 0."""
        if base or byteorder != self.registers.byteorder:
            raise Unobservable("over PCI, no device is told of another beginning or byte order")
        self.registers.start_queue(index, ring.size, ring.layout)

    def run(self, indices: Collection[int]) -> None:  # noqa: ARG002 - all that were described run
        """Say that the driver is ready."""
        self.registers.set_status(self.registers.status() | DRIVER_OK)

    def reset(self) -> None:
        """Reset the device, and wait until it is. Raises `LinkError` if that never is."""
        try:
            reset(self.registers)
        except PeerError as error:
            raise LinkError(str(error), retryable=False) from error
        self._interrupts = 0

    # ---- status, configuration, notifications

    def status(self) -> int:
        """Return the device status."""
        return self.registers.status()

    def needs_reset(self) -> bool:
        """Return whether the device says so in its status.

        By the legacy interface none can say it: there a silent device may wait for a reset.
        """
        return self.is_legacy or bool(self.registers.status() & NEEDS_RESET)

    def read_config(self, offset: int, size: int) -> bytes:
        """Return bytes of the configuration space, read by fields of 32 bits."""
        first, end = offset // _FIELD, -(-(offset + size) // _FIELD)
        try:
            fields = [self.registers.read_config(at * _FIELD) for at in range(first, end)]
        except IndexError:
            raise PeerError(f"no {size} bytes of configuration at {offset}") from None
        whole = b"".join(field.to_bytes(_FIELD, "little") for field in fields)
        return whole[offset - first * _FIELD :][:size]

    def write_config(self, offset: int, data: bytes) -> None:
        """Write whole fields of 32 bits of the configuration space."""
        for at in range(0, len(data), _FIELD):
            value = int.from_bytes(data[at : at + _FIELD], "little")
            try:
                self.registers.write_config(offset + at, value)
            except IndexError:
                raise PeerError(f"no configuration at {offset + at}") from None

    def settle(self) -> None:
        """Wait for a moment: nobody says when the device has done what it was told of."""
        time.sleep(_SETTLE_SECONDS)

    def kick(self, index: int) -> None:
        """Write to a queue's place for notifications."""
        self.registers.notify(index)

    def called(self, index: int, seconds: float = 0) -> bool:  # noqa: ARG002 - all queues have one
        """Return whether the device has wished to interrupt for any queue; it says so once."""
        return self._wished(_QUEUE, seconds)

    def announces(self, seconds: float) -> bool:
        """Return whether the device has wished to interrupt for its configuration."""
        return self._wished(_CONFIGURATION, seconds)

    def _wished(self, interrupt: int, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while True:
            # One look clears both kinds.
            self._interrupts |= self.registers.take_interrupt()
            if self._interrupts & interrupt:
                self._interrupts &= ~interrupt
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(_LOOK_EVERY)

    def is_hole(self, address: int) -> bool:
        """Raise `Unobservable`: no guest sees what the host has."""
        raise Unobservable(f"whether the host has what is at {address:#x}, no guest sees")


def pci_of(machine: Machine) -> PciTransport:
    """Return the PCI transport of a machine. Raises `Unobservable` over any other."""
    if not isinstance(machine.transport, PciTransport):
        raise Unobservable("only a driver on PCI sees it")
    return machine.transport
