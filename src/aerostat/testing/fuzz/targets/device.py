"""The balloon device on the rings of a guest that writes anything into them, at any moment."""

import struct

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.device import KNOWN_FEATURES, BalloonDevice
from aerostat.balloon.events import Hint, Report, StatisticsArrived
from aerostat.errors import PeerError
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.pens import PackedPen, Pen, SplitPen
from aerostat.testing.fuzz.targets.yard import Yard
from aerostat.virtio.chain import WRITE
from aerostat.virtio.features import RING_PACKED, VERSION_1, bit
from aerostat.virtio.memory import Byteorder

_SIZES = (8, 1, 2, 4)
_BUFFERS = 0x4000


class Guest:
    """A guest that has `queues`, and a device that serves them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.yard = Yard.of(source)
        packed = source.chance(40)
        legacy = not packed and source.chance(25)
        self.order: Byteorder = "big" if legacy and source.chance(50) else "little"
        self.device = BalloonDevice(
            features=KNOWN_FEATURES, max_pages=1 << source.below(32), byteorder=self.order
        )
        unlike = VERSION_1 if legacy else RING_PACKED
        chosen = KNOWN_FEATURES if packed else KNOWN_FEATURES & ~bit(unlike)
        if source.chance(30):
            chosen &= ~(1 << source.below(6))
        self.device.accept(source.near(chosen, 64))
        size = source.choose(_SIZES)
        self.pens: dict[Queue, Pen] = {
            queue: PackedPen(0x400 * queue, size)
            if packed
            else SplitPen(0x400 * queue, size, self.order)
            for queue in Queue
        }
        self._indirect = not source.chance(20)
        self._bases: dict[Queue, int] = {}
        for queue in Queue:
            self.start(queue)

    def start(self, queue: Queue) -> None:
        """Start a queue, where it was or where a front-end likes."""
        base = self._bases.get(queue) if self.source.chance(70) else None
        if self.source.chance(2):
            base = self.source.number(32)
        ring = self.pens[queue].ring(self.yard.memory, base, indirect=self._indirect)
        self.device.start(queue, ring)

    def stop(self, queue: Queue) -> None:
        """Stop a queue, and remember where it was."""
        self._bases[queue] = base = self.device.stop(queue)
        assert 0 <= base <= 0xFFFF_FFFF

    def send(self, queue: Queue) -> None:
        """Make a buffer available: a sound one, or one that is not."""
        source = self.source
        at = _BUFFERS + source.below(8) * 0x200
        writable = queue is Queue.REPORTING or (queue is Queue.HINT and source.chance(60))
        if writable:
            address, length, flags = self.yard.address(source), source.number(32), WRITE
        else:
            payload = self._payload(queue)
            self.yard.memory.write(at, payload)
            address, length, flags = source.near(at, 64), source.near(len(payload), 32), 0
        if source.chance(20):
            flags = source.near(flags, 16)
        self.pens[queue].offer(source, self.yard.memory, address, length, flags)

    def _payload(self, queue: Queue) -> bytes:
        source = self.source
        if queue is Queue.STATS:
            entries = [(source.near(4, 16), source.number(64)) for _ in range(source.below(12))]
            order = "<" if self.order == "little" else ">"
            return b"".join(struct.pack(f"{order}HQ", *entry) for entry in entries)
        if queue is Queue.HINT:
            return source.near(self.device.config.cmd_id, 32).to_bytes(4, self.order)
        if source.chance(20):
            return source.blob(0x100)
        near = self.yard.address(source) // PAGE_SIZE & 0xFFFFFFFF
        pfns = [near + source.below(16) & 0xFFFFFFFF for _ in range(source.below(100))]
        return b"".join(pfn.to_bytes(4, self.order) for pfn in pfns)

    def forget(self) -> None:
        """Begin anew, as after a reset."""
        self._bases.clear()

    def scribble(self) -> None:
        """Write anything anywhere."""
        data = self.source.blob(24)
        self.yard.memory.write(self.source.below(0x7000), data)


def run(case: bytes) -> None:
    """Play a guest and a host at the same device."""
    source = Source(case)
    guest = Guest(source)
    device = guest.device
    while source.left:
        queue = source.choose(tuple(Queue))
        match source.below(8):
            case 0:
                _host(guest)
            case 1:
                _driver(guest, queue)
            case 2 | 3 | 4:
                guest.send(queue)
            case _:
                _serve(guest, queue, source.below(6) + 1)
        assert 0 <= device.balloon_size <= device.max_pages * PAGE_SIZE
        assert len(device.read_config(0, 16)) == 16
    for queue in Queue:
        device.stop(queue)
    guest.yard.check()


def _host(guest: Guest) -> None:
    """Have the host want something."""
    device, source = guest.device, guest.source
    match source.below(5):
        case 0 | 1:
            device.request_statistics()
        case 2:
            device.set_target(source.number(40) - 5)
        case _:
            source.choose((device.hinting.start, device.hinting.stop, device.hinting.done))()


def _driver(guest: Guest, queue: Queue) -> None:
    """Have the guest's driver, or its front-end, do something else than send."""
    source = guest.source
    match source.below(4):
        case 0:
            guest.scribble()
        case 1:
            guest.device.write_config(source.near(4, 32), source.blob(20))
        case 2:
            guest.stop(queue)
            guest.start(queue)
        case _:
            _reset(guest)


def _reset(guest: Guest) -> None:
    features = guest.device.negotiated
    guest.source.choose((guest.device.reset, guest.device.restart))()
    guest.device.accept(features)
    guest.forget()
    for queue in Queue:
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
            assert isinstance(event, Report | Hint) or aligned or not whole
        if source.chance(3):
            # The ring goes away under the work, as a front-end may do at any moment.
            guest.stop(queue)
            device.complete(event)
            try:
                guest.start(queue)
            except PeerError:
                return
            continue
        device.complete(event)
    device.pending(queue)
    device.take_notifications()


TARGET = Target("device", "the balloon device on a hostile guest's rings", run, longest=2048)
