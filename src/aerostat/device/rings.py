"""The rings of one front-end: starting and stopping them, kicks in, work, calls out.

Implements "Starting and stopping rings" of vhost-user around the balloon device. Touches kick and
call descriptors, and gives inflated pages back to the host before the driver hears of it (virtio
1.2, 5.5.6.1). Standard library only.
"""

import os
import time
from functools import partial

from aerostat.balloon.abi import MUST_TELL_HOST, Queue, number_queues
from aerostat.balloon.device import Deflate, Event, Hint, Inflate, StatisticsArrived
from aerostat.device.guest import Guest
from aerostat.device.loop import READ, Loop
from aerostat.device.named import Descriptors
from aerostat.errors import PeerError
from aerostat.vhost_user.backend import Backend
from aerostat.vhost_user.descriptors import OwnedDescriptor
from aerostat.vhost_user.setup import RingSetup
from aerostat.virtio import packed_ring, split_ring
from aerostat.virtio.features import RING_INDIRECT_DESC, RING_PACKED, VERSION_1, has
from aerostat.virtio.memory import Byteorder, GuestMemory
from aerostat.virtio.packed_ring import PackedRing
from aerostat.virtio.ring import DeviceSide
from aerostat.virtio.split_ring import SplitRing

# How long one queue may work before everybody else has a turn. A request of Linux's takes about
# a quarter of it.
TURN_SECONDS = 0.005

# An eventfd takes and gives eight bytes. User-mode Linux's are pipes, which may hold many kicks.
_ONE = (1).to_bytes(8, "little")
_DRAIN_BYTES = 4096


class Rings:
    """Serves a guest's balloon queues over the rings that a conversation sets up."""

    def __init__(self, loop: Loop, guest: Guest, backend: Backend) -> None:
        self._loop = loop
        self._guest = guest
        self._backend = backend
        self._kicks: dict[int, OwnedDescriptor] = {}
        self._calls: dict[int, OwnedDescriptor] = {}
        self._queues: dict[int, Queue] = {}  # of the rings that run
        self._turn_due: set[int] = set()
        self._new_driver = True

    # ---- what the conversation says

    def set_kick(self, index: int, descriptor: OwnedDescriptor) -> None:
        """Take the descriptor on which the driver announces buffers; raises `PeerError`."""
        self._drop_kick(index)
        try:
            unblock(descriptor)
            self._loop.watch(descriptor.fileno(), READ, partial(self._kicked, index))
        except OSError as error:
            descriptor.close()
            raise PeerError(f"ring {index}: a kick that cannot be waited for: {error}") from error
        self._kicks[index] = descriptor

    def set_call(self, index: int, descriptor: OwnedDescriptor | None) -> None:
        """Take the descriptor on which used buffers are announced; None: nowhere."""
        self._drop_call(index)
        if descriptor is not None:
            self._calls[index] = descriptor
            unblock(descriptor)

    def expect_driver(self) -> None:
        """Expect a new driver in the next rings, as the features are being chosen."""
        self._new_driver = not self._queues

    def settle(self, index: int) -> None:
        """Make ring `index` run if it is ready, and rest if it is not; raises `PeerError`."""
        ready = self._backend.rings[index].ready and self._guest.memory is not None
        if not ready:
            self.stop(index)
        elif index not in self._queues:
            self._start(index)

    def settle_all(self) -> None:
        """Settle every ring; raises `PeerError`."""
        for index in range(len(self._backend.rings)):
            self.settle(index)

    def stop(self, index: int) -> int:
        """Stop a ring; return the base to start it from again, with held buffers available."""
        setup = self._backend.rings[index]
        queue = self._queues.pop(index, None)
        if queue is not None:
            setup.base = self._guest.device.stop(queue)
        return setup.base

    def stop_all(self) -> None:
        """Stop every ring."""
        for index in range(len(self._backend.rings)):
            self.stop(index)

    def end(self, index: int) -> int:
        """Stop a ring for good, as `stop`, and close its kick."""
        self._drop_kick(index)
        return self.stop(index)

    def rebind(self, memory: GuestMemory) -> None:
        """Carry on in a new memory table; raises `PeerError` when a ring is not in it."""
        for index, queue in list(self._queues.items()):
            setup = self._backend.rings[index]
            ring = self._guest.device.ring(queue)
            assert ring is not None
            try:
                ring.rebind(memory, *self._addresses(memory, setup))
            except PeerError:
                self.stop(index)
                raise

    def close(self) -> None:
        """Stop everything and close every descriptor."""
        for index in range(len(self._backend.rings)):
            self.end(index)
            self._drop_call(index)

    # ---- going on in another process

    @property
    def descriptors(self) -> dict[str, OwnedDescriptor]:
        """Each kick and call, by its name: ``kick-0``."""
        kicks = {f"kick-{index}": descriptor for index, descriptor in self._kicks.items()}
        return kicks | {f"call-{index}": descriptor for index, descriptor in self._calls.items()}

    @property
    def expects_driver(self) -> bool:
        """Whether the next ring that starts may be a new driver's."""
        return self._new_driver

    def restore(self, descriptors: Descriptors, *, expects_driver: bool) -> None:
        """Go on where another was that has stopped its rings; raises `PeerError`.

        Nothing is served before `settle_all`; but that every ring can be is seen now.
        """
        self._new_driver = expects_driver
        for index, setup in enumerate(self._backend.rings):
            if (kick := descriptors.take_if_any(f"kick-{index}")) is not None:
                self.set_kick(index, kick)
            self.set_call(index, descriptors.take_if_any(f"call-{index}"))
            if setup.ready and self._guest.memory is not None:
                self._bind(self._guest.memory.guest, setup).release()

    # ---- starting

    def _start(self, index: int) -> None:
        memory = self._guest.memory
        assert memory is not None
        if self._new_driver:
            self._meet_driver(memory.guest)
        queue = self._queue_of(index)
        if queue is None or queue in self._queues.values():
            return  # set up, but no queue of what was negotiated: it is never looked at
        self._guest.device.guest_byteorder = self._backend.rings[index].byteorder
        self._guest.device.start(queue, self._bind(memory.guest, self._backend.rings[index]))
        self._queues[index] = queue
        # Kicks that came before the ring was enabled are gone, the buffers are not.
        self._work(index)

    def _meet_driver(self, memory: GuestMemory) -> None:
        """Tell a new driver from one that goes on after a pause: its rings were never used.

        vhost-user has no message for either. After a pause the statistics, the driver's `actual`
        and the held buffer are still good.
        """
        for setup in self._backend.rings:
            if setup.addresses is not None and setup.size:
                ring = self._bind(memory, setup)
                begun = ring.begun
                ring.release()
                if begun:
                    break
        else:
            self._guest.restart()
        self._new_driver = False

    def _queue_of(self, index: int) -> Queue | None:
        device = self._guest.device
        configured = [
            number
            for number, setup in enumerate(self._backend.rings)
            if setup.addresses is not None
        ]
        rule = self._guest.queue_rule
        return number_queues(device.features, device.negotiated, configured, rule).get(index)

    def _bind(self, memory: GuestMemory, setup: RingSetup) -> DeviceSide:
        features = self._guest.device.negotiated
        indirect = has(features, RING_INDIRECT_DESC)
        parts = self._addresses(memory, setup)
        if has(features, RING_PACKED):
            return PackedRing(memory, setup.size, *parts, setup.base, indirect=indirect)
        # Begin where the used ring ends, not at the front-end's base: this device uses buffers
        # in order, and some front-ends send an index that would skip the first statistics buffer.
        byteorder: Byteorder = "little" if has(features, VERSION_1) else setup.byteorder
        return SplitRing(
            memory, setup.size, *parts, base=None, indirect=indirect, byteorder=byteorder
        )

    def _addresses(self, memory: GuestMemory, setup: RingSetup) -> tuple[int, int, int]:
        """Return the guest addresses of a ring's areas, which came as the front-end's own."""
        assert setup.addresses is not None
        packed = has(self._guest.device.negotiated, RING_PACKED)
        sizes = (packed_ring if packed else split_ring).areas(setup.size)
        return (
            memory.user_to_guest(setup.addresses.descriptors, sizes[0]),
            memory.user_to_guest(setup.addresses.available, sizes[1]),
            memory.user_to_guest(setup.addresses.used, sizes[2]),
        )

    # ---- kicks, work, calls

    def _kicked(self, index: int) -> None:
        descriptor = self._kicks[index].fileno()
        try:
            drained = os.read(descriptor, _DRAIN_BYTES)
        except BlockingIOError:
            return
        except OSError:
            drained = b""
        if not drained:
            # Closed at the other end: it would be ready for ever, and never kick again.
            self._drop_kick(index)
        self._work(index)

    def _work(self, index: int) -> None:
        """Serve one ring for one turn; what is left waits for the next."""
        self._turn_due.discard(index)
        queue = self._queues.get(index)
        if queue is None:
            return
        device = self._guest.device
        end = time.monotonic() + TURN_SECONDS
        more = True
        while more and time.monotonic() < end:
            for event in device.service(queue, budget=1):
                self._carry_out(event)
            more = device.pending(queue)
        self.notify()
        if device.broken(queue) and self._backend.need_reset() and self._guest.on_config_changed:
            self._guest.on_config_changed()  # a device that needs a reset must say so (2.1.2)
        if more and index not in self._turn_due:
            self._turn_due.add(index)
            self._loop.call_soon(partial(self._work, index))

    def _carry_out(self, event: Event) -> None:
        if isinstance(event, StatisticsArrived):
            self._guest.sampler.arrived(event.statistics)
            return
        device, reclaim = self._guest.device, self._guest.reclaim
        if isinstance(event, Inflate):
            reclaim.inflate(event, told=has(device.negotiated, MUST_TELL_HOST))
        elif isinstance(event, Deflate):
            reclaim.deflate(event)
        elif isinstance(event, Hint):
            self._guest.hinted(event)
        else:
            reclaim.report(event)
        device.complete(event)

    def notify(self) -> None:
        """Announce the buffers that were used since the last time."""
        queues = self._guest.device.take_notifications()
        if not queues:
            return
        for index, queue in self._queues.items():
            if queue in queues:
                self._call(index)

    def _call(self, index: int) -> None:
        descriptor = self._calls.get(index)
        if descriptor is None:
            return
        try:
            os.write(descriptor.fileno(), _ONE)
        except BlockingIOError:
            # So many calls wait to be read that the driver will look anyway.
            self._guest.counters["lost_calls"] += 1
        except OSError as error:
            self._guest.counters["lost_calls"] += 1
            self._guest.log(f"ring {index} cannot be called: {error}")
            self._drop_call(index)

    def _drop_kick(self, index: int) -> None:
        descriptor = self._kicks.pop(index, None)
        if descriptor is not None:
            self._loop.unwatch(descriptor.fileno())
            descriptor.close()

    def _drop_call(self, index: int) -> None:
        descriptor = self._calls.pop(index, None)
        if descriptor is not None:
            descriptor.close()


def unblock(descriptor: OwnedDescriptor) -> None:
    """Make reads and writes of a peer's descriptor return at once; raises `OSError`.

    The flag is shared with the front-end, which may clear it again. Then a full pipe blocks this
    process: its own guest's device, and no other's.
    """
    os.set_blocking(descriptor.fileno(), False)
