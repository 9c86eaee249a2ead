"""A process guest's virtqueues: their places in its memory, and their notifications.

Implements the layout of rings (virtio 1.2, 2.7 and 2.8) in memory set apart for them, and the
kicks and calls of vhost-user. Touches guest memory and eventfds. Standard library only.
"""

import contextlib
import os
from collections.abc import Mapping

from aerostat.balloon.abi import Queue
from aerostat.process_guest.memory import USER_BASE, GuestMemoryFile
from aerostat.vhost_user.frontend import RingPlan
from aerostat.virtio.driver_rings import driver_ring, lay_out_ring
from aerostat.virtio.memory import Byteorder
from aerostat.virtio.ring import DriverSide

_NOTIFIER = os.EFD_NONBLOCK | os.EFD_CLOEXEC


class GuestRings:
    """The rings of one driver, one after the other from the guest address `address` on.

    `numbers` says which index each queue has at the device, `size` how many descriptors; what
    kind of rings they are is among `features`. All share one call: looking at a ring that has
    nothing costs less than another descriptor. `end` is the address after the rings. Release them
    before the memory.
    """

    def __init__(
        self,
        file: GuestMemoryFile,
        numbers: Mapping[Queue, int],
        *,
        features: int,
        address: int,
        size: int,
        byteorder: Byteorder = "little",
    ) -> None:
        self.numbers = dict(numbers)
        self.rings: dict[Queue, DriverSide] = {}
        self.call: int | None = None
        self._byteorder: Byteorder = byteorder
        self._kicks: dict[Queue, int] = {}
        for queue in self.numbers:
            layout = lay_out_ring(features, address, size)
            self.rings[queue] = driver_ring(
                features, file.memory, size, layout, byteorder=byteorder
            )
            address = -(-layout.end // 16) * 16
        self.end = address

    def plans(self, bases: Mapping[int, int] | None = None) -> list[RingPlan]:
        """Return what a device is to be told of the rings, with new notifications for each.

        `bases` are where to start from; None: from where the device used a buffer last.
        """
        self.close_notifiers()
        self.call = os.eventfd(0, _NOTIFIER)
        bases = bases or self.bases()
        plans = []
        for queue, ring in self.rings.items():
            number = self.numbers[queue]
            # Kicked already, as QEMU's are: what the driver has posted is found at once.
            kick = self._kicks[queue] = os.eventfd(1, _NOTIFIER)
            plans.append(
                RingPlan(
                    number,
                    ring.size,
                    USER_BASE + ring.layout.desc,
                    USER_BASE + ring.layout.avail,
                    USER_BASE + ring.layout.used,
                    bases[number],
                    kick,
                    self.call,
                    big_endian=self._byteorder == "big",
                )
            )
        return plans

    def bases(self) -> dict[int, int]:
        """Return for each index of the device's where it goes on, by what it has used.

        That is where a device that uses buffers in order, as a balloon does, starts again.
        """
        return {self.numbers[queue]: ring.base for queue, ring in self.rings.items()}

    def kick(self, queue: Queue) -> None:
        """Tell the device that there are buffers in the ring of `queue`."""
        os.eventfd_write(self._kicks[queue], 1)

    def drain_call(self) -> None:
        """Forget the calls that have come."""
        if self.call is not None:
            with contextlib.suppress(BlockingIOError):  # another wake-up has had it
                os.eventfd_read(self.call)

    def close_notifiers(self) -> None:
        """Close kicks and call; the rings stay."""
        for kick in self._kicks.values():
            os.close(kick)
        self._kicks.clear()
        if self.call is not None:
            os.close(self.call)
            self.call = None

    def release(self) -> None:
        """Close the notifiers, and let go of the memory."""
        self.close_notifiers()
        for ring in self.rings.values():
            ring.release()
