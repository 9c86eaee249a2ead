"""Faults in how a driver uses its rings, split and packed."""

# ruff: noqa: D103, SLF001 - names say what is wrong, and that is planted where nobody has business

from typing import Any

from aerostat.balloon.abi import Queue
from aerostat.process_guest.rings import GuestRings
from aerostat.process_guest.work import BalloonWork
from aerostat.testing.check.driver.faults.terms import fault, replace
from aerostat.virtio.chain import DESCRIPTORS, INDIRECT, NEXT, WRITE
from aerostat.virtio.driver_packed_ring import DriverPackedRing
from aerostat.virtio.driver_ring import DriverRing
from aerostat.virtio.split_ring import INDEX

_SOON = 0.1  # seconds
_PACK = DESCRIPTORS["little"].pack


@fault("VQ-DRV-8")
def forgets_to_notify() -> None:
    count = 0

    def sparing(kick: Any) -> Any:
        def kicking(self: GuestRings, queue: Queue) -> None:
            nonlocal count
            count += 1
            if count % 4:
                kick(self, queue)

        return kicking

    replace(GuestRings, "kick", sparing)


@fault("VQ-DRV-7")
def has_reserved_flags_in_its_avail_rings() -> None:
    def flagged(offer: Any) -> Any:
        def offering(self: DriverRing, head: int) -> None:
            offer(self, head)
            self._avail.store(0, 2)

        return offering

    replace(DriverRing, "_offer", flagged)


def _offering(change: Any) -> None:
    """Have `change(ring, head)` do something to a chain before it is made available."""

    def changed(offer: Any) -> Any:
        def offering(self: DriverRing, head: int) -> None:
            change(self, head)
            offer(self, head)

        return offering

    replace(DriverRing, "_offer", changed)


def _rewrite(ring: DriverRing, index: int, flags: int, following: int = 0, length: int = 4) -> None:
    place = ring.layout.desc + index * 16
    address = int.from_bytes(ring.memory.read(place, 8), "little")
    ring.memory.write(place, _PACK(address, length, flags, following))


@fault("VQ-DRV-2")
def puts_writable_buffers_first() -> None:
    def reversed_(ring: DriverRing, head: int) -> None:
        _rewrite(ring, head, WRITE | NEXT, ring.size - 1)
        _rewrite(ring, ring.size - 1, 0)

    _offering(reversed_)


@fault("VQ-DRV-3")
def makes_chains_that_go_round() -> None:
    _offering(lambda ring, head: _rewrite(ring, head, NEXT, head))


@fault("VQ-DRV-4")
def uses_indirect_tables_unasked() -> None:
    _offering(lambda ring, head: _rewrite(ring, head, INDIRECT, 0, 16))


@fault("VQ-DRV-5")
def takes_a_buffer_back() -> None:
    """Move the avail index of the inflate queue back, once a request has been served."""

    def wavering(run: Any) -> Any:
        def running(self: BalloonWork) -> None:
            run(self)
            back(self)

        def back(self: BalloonWork) -> None:
            ring = self.rings.rings[Queue.INFLATE]
            if isinstance(ring, DriverRing) and ring._next_avail and not ring.outstanding:
                ring._avail.publish(INDEX, ring._next_avail - 1)
                self.rings.kick(Queue.INFLATE)
            else:
                self._loop.call_later(_SOON / 10, lambda: back(self))

        return running

    replace(BalloonWork, "run", wavering)


@fault("VQ-DRV-6")
def moves_the_index_before_the_entry() -> None:
    """Have the device find an entry that was not written yet."""

    def hasty(_: Any) -> Any:
        def offering(self: DriverRing, head: int) -> None:
            del head
            self._avail.store(2 + self._next_avail % self.size, 0xFFFF)
            self._next_avail = (self._next_avail + 1) & 0xFFFF
            self._avail.publish(INDEX, self._next_avail)

        return offering

    replace(DriverRing, "_offer", hasty)


@fault("VQ-DRV-9", "DRV-STATS-1")
def takes_each_notification_for_an_answer() -> None:
    def credulous(called: Any) -> Any:
        def being_called(self: BalloonWork) -> None:
            called(self)
            lane = self.driver._lanes[Queue.STATS]
            if lane.request is not None:
                self.rings.rings[Queue.STATS].add([(lane._buffer, 160)])
                self.rings.kick(Queue.STATS)

        return being_called

    replace(BalloonWork, "_called", credulous)


@fault("PK-1")
def does_not_turn_its_wrap_counter() -> None:
    replace(DriverPackedRing, "_mark", lambda _: lambda *_: 1 << 7)


@fault("PK-2", "DRV-STATS-1")
def uses_a_buffer_id_that_is_out() -> None:
    """Make each list available twice, with one and the same buffer id."""

    def twice(offer: Any) -> Any:
        def offering(self: DriverPackedRing, head: int, buffers: Any) -> None:
            offer(self, head, buffers)
            offer(self, head, buffers)

        return offering

    replace(DriverPackedRing, "_offer", twice)


@fault("PK-4")
def marks_the_first_descriptor_of_a_list_first() -> None:
    """Leave the second descriptor of each list for later."""

    def hasty(offer: Any) -> Any:
        def offering(self: DriverPackedRing, head: int, buffers: Any) -> None:
            offer(self, head, buffers)
            first = (self._next_avail - len(buffers)) % self.size
            place = self.layout.desc + first * 16 + 14
            flags = int.from_bytes(self.memory.read(place, 2), "little")
            self.memory.write(place, (flags | NEXT).to_bytes(2, "little"))

        return offering

    replace(DriverPackedRing, "_offer", hasty)


@fault("PK-6")
def asks_for_reserved_notifications() -> None:
    def reserved(offer: Any) -> Any:
        def offering(self: DriverPackedRing, head: int, buffers: Any) -> None:
            offer(self, head, buffers)
            self.memory.write(self.layout.avail + 2, b"\3\0")

        return offering

    replace(DriverPackedRing, "_offer", reserved)
