"""What the driver needs of a virtio device, whichever interface it speaks (virtio 1.2, 3.1).

Touches a device's registers. `open_transport` chooses the interface, `initialise` goes the way
from reset to features. Standard library only, Python 3.9.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from aerostat.balloon.abi import Queue
from aerostat.errors import MissingError, PeerError, UsageError
from aerostat.guest.legacy import LegacyTransport
from aerostat.guest.modern import ModernTransport, find_structures
from aerostat.guest.pci import Function
from aerostat.guest.registers import PortRegisters
from aerostat.virtio.driver_rings import lay_out_ring
from aerostat.virtio.memory import Byteorder
from aerostat.virtio.ring import RingLayout, is_size

# The device status field (virtio 1.2, 2.1).
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK = 1, 2, 4, 8
NEEDS_RESET, FAILED = 64, 128

# A reset is done when the device says so (4.1.4.3.2); a device that never does is broken.
_RESET_TIME = 5.0

_LEGACY_BAR = 0

# Each ring begins on a page, which legacy ones have to.
_RING_ALIGN = 4096
_RING_SIZE = 8


class Transport(Protocol):
    """One device's registers, by what they are for."""

    is_modern: bool
    ring_align: int  # of the used ring, and of the whole under the legacy interface
    fixed_size: bool  # whether queues have the size that the device says, and no other
    byteorder: Byteorder  # of the queues' contents

    def status(self) -> int:
        """Return the device status."""

    def set_status(self, status: int) -> None:
        """Set the device status; 0 asks for a reset."""

    def offered(self) -> int:
        """Return the features that the device offers."""

    def accept(self, features: int) -> None:
        """Tell the device which features it is to have."""

    def queue_size(self, index: int) -> int:
        """Return how many descriptors queue `index` can have; 0 if there is no such queue."""

    def start_queue(self, index: int, size: int, layout: RingLayout) -> None:
        """Tell the device where queue `index` is, and start it."""

    def notify(self, index: int) -> None:
        """Tell the device that queue `index` has something for it."""

    def read_config(self, offset: int) -> int:
        """Return a 32-bit field of the device's configuration space."""

    def write_config(self, offset: int, value: int) -> None:
        """Set a 32-bit field of the device's configuration space, in one access."""

    def take_interrupt(self) -> int:
        """Return the ISR, and clear it by that: 1 for used buffers, 2 for the configuration."""

    def close(self) -> None:
        """Let go of the registers."""


def open_transport(function: Function, *, legacy: bool = False) -> Transport:
    """Return the interface to `function`, which was taken: modern where there is one.

    `legacy` chooses the legacy interface of a transitional device. Raises `MissingError` or
    `UsageError`.
    """
    structures = None if legacy else find_structures(function)
    if structures is not None:
        return ModernTransport.open(function, structures)
    if not (function.is_transitional and function.has_bar(_LEGACY_BAR)):
        raise UsageError(f"{function.address} has no legacy interface: leave out --legacy")
    if not function.is_io_bar(_LEGACY_BAR):
        raise MissingError(f"{function.address}: a legacy interface that is not of I/O ports")
    return LegacyTransport(PortRegisters(function.open_ports(_LEGACY_BAR)), sys.byteorder)


def reset(transport: Transport) -> None:
    """Reset the device, and return when it is done. Raises `PeerError`."""
    transport.set_status(0)
    deadline = time.monotonic() + _RESET_TIME
    while transport.status():
        if time.monotonic() > deadline:
            raise PeerError("the device does not finish its reset")
        time.sleep(0.001)


def initialise(transport: Transport, choose: Callable[[int], int]) -> tuple[int, int]:
    """Go through the first half of initialisation (virtio 1.2, 3.1.1); return the features.

    `choose` is given those offered and returns those wanted. Both are returned, the offered
    first. Queues come next, then `DRIVER_OK`. Raises `PeerError`, with the device left failed.
    """
    reset(transport)
    status = ACKNOWLEDGE
    transport.set_status(status)
    status |= DRIVER
    transport.set_status(status)
    offered = transport.offered()
    features = choose(offered)
    transport.accept(features)
    if transport.is_modern:  # a legacy device has no such step (3.1.2)
        status |= FEATURES_OK
        transport.set_status(status)
        if not transport.status() & FEATURES_OK:
            transport.set_status(status | FAILED)
            raise PeerError(f"the device refuses features {features:#x} of {offered:#x}")
    return offered, features


def start(transport: Transport) -> None:
    """Say that the driver is ready: the last step of initialisation."""
    transport.set_status(transport.status() | DRIVER_OK)


def lay_out_rings(
    transport: Transport, features: int, numbers: Mapping[Queue, int], address: int
) -> tuple[dict[Queue, tuple[int, RingLayout]], int]:
    """Return the size and place of each queue's ring, from `address` on, and where they end.

    One request is out on each queue, so rings are small where the device lets us choose. Raises
    `PeerError` if the device lacks a queue that its features promise, or asks for a size that no
    queue may have.
    """
    rings = {}
    for queue, index in numbers.items():
        size = transport.queue_size(index)
        if not is_size(features, size):
            raise PeerError(f"the device's {queue.name} queue has {size} descriptors")
        size = size if transport.fixed_size else min(size, _RING_SIZE)
        start = -(-address // _RING_ALIGN) * _RING_ALIGN
        layout = lay_out_ring(features, start, size, transport.ring_align)
        rings[queue] = (size, layout)
        address = layout.end
    return rings, -(-address // _RING_ALIGN) * _RING_ALIGN
