"""The balloon device on the rings of a guest that writes anything into them, at any moment."""

import struct

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.device import BalloonDevice
from aerostat.balloon.events import Report, StatisticsArrived
from aerostat.errors import PeerError
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.yard import Yard
from aerostat.virtio.chain import DESCRIPTORS
from aerostat.virtio.features import VERSION_1, bit
from aerostat.virtio.memory import Byteorder
from aerostat.virtio.split_ring import SplitRing, areas

QUEUES = (Queue.INFLATE, Queue.DEFLATE, Queue.STATS, Queue.REPORTING)
_SIZES = (8, 1, 2, 4)
_BUFFERS = 0x4000


class _Ring:
    """One queue's ring as the guest has it."""

    def __init__(self, at: int, size: int, order: Byteorder) -> None:
        self.size = size
        self.order: Byteorder = order
        self.desc = at
        self.avail = at + areas(size)[0]
        self.used = -(-(self.avail + areas(size)[1]) // 4) * 4
        self.index = 0


class Guest:
    """A guest that has `queues`, and a device that serves them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.yard = Yard.of(source)
        legacy = source.chance(25)
        self.order: Byteorder = "big" if legacy and source.chance(50) else "little"
        self.device = BalloonDevice(max_pages=1 << source.below(32), byteorder=self.order)
        offered = self.device.features
        chosen = offered & ~bit(VERSION_1) if legacy else offered
        if source.chance(30):
            chosen &= ~(1 << source.below(6))
        self.device.accept(source.near(chosen, 64))
        size = source.choose(_SIZES)
        self.rings = {
            queue: _Ring(number * 0x400, size, self.order) for number, queue in enumerate(QUEUES)
        }
        for queue in QUEUES:
            self.start(queue)

    def start(self, queue: Queue) -> None:
        """Start a queue, wherever it was."""
        ring = self.rings[queue]
        parts = (ring.desc, ring.avail, ring.used)
        base = None if self.source.chance(50) else ring.index
        self.device.start(
            queue, SplitRing(self.yard.memory, ring.size, *parts, base, byteorder=self.order)
        )

    def send(self, queue: Queue) -> None:
        """Make a buffer available: a sound one, or one that is not."""
        source, ring = self.source, self.rings[queue]
        slot = source.below(ring.size)
        at = _BUFFERS + slot * 0x200
        if queue is Queue.REPORTING:
            address, length, flags = self.yard.address(source), source.number(32), 2
        else:
            payload = self._payload(queue)
            self.yard.memory.write(at, payload)
            address, length, flags = source.near(at, 64), source.near(len(payload), 32), 0
        flags = source.near(flags, 16) if source.chance(20) else flags
        following = source.below(ring.size + 1)
        pack = DESCRIPTORS[self.order].pack
        self.yard.memory.write(ring.desc + 16 * slot, pack(address, length, flags, following))
        entry = source.near(slot, 16)
        self._word(ring.avail + 4 + 2 * (ring.index % ring.size), entry)
        ring.index = source.near((ring.index + 1) & 0xFFFF, 16)
        self._word(ring.avail + 2, ring.index)

    def _payload(self, queue: Queue) -> bytes:
        source = self.source
        if queue is Queue.STATS:
            entries = [(source.near(4, 16), source.number(64)) for _ in range(source.below(12))]
            order = "<" if self.order == "little" else ">"
            return b"".join(struct.pack(f"{order}HQ", *entry) for entry in entries)
        if source.chance(20):
            return source.blob(0x100)
        near = self.yard.address(source) // PAGE_SIZE & 0xFFFFFFFF
        pfns = [near + source.below(16) & 0xFFFFFFFF for _ in range(source.below(100))]
        return b"".join(pfn.to_bytes(4, self.order) for pfn in pfns)

    def scribble(self) -> None:
        """Write anything anywhere."""
        data = self.source.blob(24)
        self.yard.memory.write(self.source.below(0x7000), data)

    def _word(self, at: int, word: int) -> None:
        self.yard.memory.write(at, word.to_bytes(2, self.order))


def run(case: bytes) -> None:
    """Play a guest and a host at the same device."""
    source = Source(case)
    guest = Guest(source)
    device = guest.device
    while source.left:
        queue = source.choose(QUEUES)
        match source.below(16):
            case 0:
                guest.scribble()
            case 1:
                offset = source.near(4, 32)
                device.write_config(offset, source.blob(20))
            case 2:
                _restart(guest, queue)
            case 3:
                device.request_statistics()
            case 4:
                device.set_target(source.number(40) - 5)
            case 5:
                _reset(guest)
            case 6 | 7 | 8 | 9 | 10:
                guest.send(queue)
            case _:
                _serve(guest, queue, source.below(6) + 1)
        assert 0 <= device.balloon_size <= device.max_pages * PAGE_SIZE
        assert len(device.read_config(0, 16)) == 16
    for queue in QUEUES:
        device.stop(queue)
    guest.yard.check()


def _restart(guest: Guest, queue: Queue) -> None:
    base = guest.device.stop(queue)
    assert 0 <= base <= 0xFFFF
    guest.start(queue)


def _reset(guest: Guest) -> None:
    features = guest.device.negotiated
    guest.source.choose((guest.device.reset, guest.device.restart))()
    guest.device.accept(features)
    for queue in QUEUES:
        guest.start(queue)


def _serve(guest: Guest, queue: Queue, budget: int) -> None:
    """Let the device work; nothing that it says is outside the guest's memory."""
    device, source = guest.device, guest.source
    steps = 0
    for event in device.service(queue, budget):
        steps += 1
        assert steps <= budget
        if isinstance(event, StatisticsArrived):
            assert event.statistics
            continue
        for region, offset, length in event.pieces:
            assert region in guest.yard.memory.regions
            assert 0 <= offset < offset + length <= region.size
            aligned = (region.guest_address + offset) % PAGE_SIZE == length % PAGE_SIZE == 0
            whole = region.size % PAGE_SIZE == 0
            assert isinstance(event, Report) or aligned or not whole
        if source.chance(3):
            # The ring goes away under the work, as a front-end may do at any moment.
            device.stop(queue)
            device.complete(event)
            try:
                guest.start(queue)
            except PeerError:
                return
            continue
        device.complete(event)
    device.pending(queue)
    assert set(device.take_notifications()) <= set(QUEUES)


TARGET = Target("device", "the balloon device on a hostile guest's rings", run, longest=2048)
