"""The driver's side of whichever ring was negotiated: split or packed (virtio 1.2, 2.6).

Makes rings in guest memory, as `driver_ring` and `driver_packed_ring` do. Runs inside guests.
"""

from __future__ import annotations

from aerostat.virtio.driver_packed_ring import DriverPackedRing, lay_out_packed
from aerostat.virtio.driver_ring import DriverRing, lay_out
from aerostat.virtio.features import RING_PACKED, has
from aerostat.virtio.memory import Byteorder, GuestMemory
from aerostat.virtio.ring import DriverSide, RingLayout


def lay_out_ring(features: int, address: int, size: int, align: int = 4) -> RingLayout:
    """Return where a ring's areas lie, from `address` on; for `align`, see `lay_out`.

    Raises `UsageError`.
    """
    if has(features, RING_PACKED):
        return lay_out_packed(address, size)
    return lay_out(address, size, align)


def driver_ring(
    features: int,
    memory: GuestMemory,
    size: int,
    layout: RingLayout,
    *,
    byteorder: Byteorder = "little",
) -> DriverSide:
    """Return the driver's side of a ring at `layout`, which is cleared."""
    if has(features, RING_PACKED):
        return DriverPackedRing(memory, size, layout)
    return DriverRing(memory, size, layout, byteorder=byteorder)
