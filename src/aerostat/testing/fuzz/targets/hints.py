"""Rounds of free page hinting, with a guest that sends ids and ranges of any round, at any time."""

from aerostat.balloon.abi import CMD_ID_FIRST, CMD_ID_STOP, FREE_PAGE_HINT, Queue
from aerostat.balloon.device import BalloonDevice
from aerostat.balloon.device_features import KNOWN_FEATURES
from aerostat.balloon.events import Hint
from aerostat.balloon.hinting import Round
from aerostat.balloon.range_set import RangeSet
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.yard import Yard
from aerostat.virtio.driver_rings import driver_ring, lay_out_ring
from aerostat.virtio.features import RING_PACKED, bit, has
from aerostat.virtio.packed_ring import PackedRing
from aerostat.virtio.ring import Buffer
from aerostat.virtio.split_ring import SplitRing

_RING, _BUFFER = 0x1000, 0x4000
_SIZE = 4
_TOP = (1 << 64) - 1


class Session:
    """A device with one queue, its guest, and what a round must have come to."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.yard = Yard.of(source)
        self.device = BalloonDevice(features=KNOWN_FEATURES)
        assert has(KNOWN_FEATURES, FREE_PAGE_HINT)
        self.device.accept(KNOWN_FEATURES)
        features = KNOWN_FEATURES if source.chance(50) else KNOWN_FEATURES & ~bit(RING_PACKED)
        layout = lay_out_ring(features, _RING, _SIZE)
        # A sound ring: what is wrong with those is for others to try.
        self.ring = driver_ring(features, self.yard.memory, _SIZE, layout)
        kind = PackedRing if has(features, RING_PACKED) else SplitRing
        self.device.start(Queue.HINT, kind(self.yard.memory, _SIZE, *layout[:3]))
        self.ids = {CMD_ID_STOP, 1}

    def want(self) -> None:
        """Have the host want something of the device."""
        hinting = self.device.hinting
        match self.source.below(4):
            case 0:
                hinting.stop()
            case 1:
                hinting.done()
            case _:
                new = hinting.start()
                assert new >= CMD_ID_FIRST
                assert new not in self.ids, "an id that was had before"
                self.ids.add(new)
        assert hinting.usable is False or hinting.round is Round.RUNNING

    def say(self) -> None:
        """Have the guest send a command id, mostly the current one or STOP."""
        source = self.source
        current = self.device.config.cmd_id
        said = source.choose((current, current, CMD_ID_STOP, *sorted(self.ids)))
        self.yard.memory.write(_BUFFER, source.near(said, 32).to_bytes(4, "little"))
        self._send([(_BUFFER, source.near(4, 8))], [])

    def hint(self) -> None:
        """Have the guest hint a range; only one of the current round may be kept."""
        address = min(self.yard.address(self.source), _TOP)
        length = self.source.number(16)
        self._send([], [(address, length)])

    def _send(self, readable: list[Buffer], writable: list[Buffer]) -> None:
        head = self.ring.add(readable, writable)
        for event in self.device.service(Queue.HINT, 8):
            assert isinstance(event, Hint)
            for region, offset, size in event.pieces:
                assert 0 <= offset < offset + size <= region.size
            self.device.complete(event)
        assert [used.head for used in self.ring.collect()] == [head]


def run(case: bytes) -> None:
    """Play rounds; what is kept was hinted under the current id, and is guest memory."""
    source = Source(case)
    if source.chance(25):
        _ranges(source)
        return
    session = Session(source)
    hinting = session.device.hinting
    while source.left:
        before = hinting.hinted.ranges()
        match source.below(8):
            case 0:
                session.want()
            case 1 | 2:
                session.say()
                assert hinting.hinted.ranges() == before, "an id that hints"
            case _:
                usable = hinting.usable
                session.hint()
                assert usable or hinting.hinted.ranges() == before, "a stale hint is kept"
        for address, length in hinting.hinted.ranges():
            inside = session.yard.inside(address, length)
            assert sum(size for _, size in inside) == length, "a hint outside of memory"
    session.ring.release()
    session.device.stop(Queue.HINT)
    session.yard.check()


def _ranges(source: Source) -> None:
    """Compare the set of ranges with one of numbers."""
    most = 1 + source.below(6)
    ranges, numbers = RangeSet(most), set[int]()
    while source.left:
        if source.chance(3):
            ranges.clear()
            numbers.clear()
        address, length = source.below(200), source.below(40)
        if ranges.add(address, length):
            numbers |= set(range(address, address + length))
        else:
            assert len(ranges) == most
        found = ranges.ranges()
        assert {n for start, size in found for n in range(start, start + size)} == numbers
        assert ranges.size == len(numbers)
        assert len(found) <= most
        ends = [start + size for start, size in found]
        assert all(end < start for end, (start, _) in zip(ends, found[1:], strict=False))


TARGET = Target("hints", "free page hints, of any round", run)
