"""A split ring whose driver writes anything into it, at any moment."""

from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.chain import describe
from aerostat.testing.fuzz.targets.yard import Yard
from aerostat.virtio.chain import BadChain, Chain
from aerostat.virtio.memory import Byteorder
from aerostat.virtio.ring import BrokenRing
from aerostat.virtio.split_ring import SplitRing, areas

_SIZES = (8, 1, 2, 4, 32, 128)
_DESC, _AVAIL, _USED = 0x1000, 0x2000, 0x3000


class Driver:
    """Writes into the three areas of a ring what a case says."""

    def __init__(self, source: Source, yard: Yard, size: int, byteorder: Byteorder) -> None:
        self._source = source
        self._yard = yard
        self._size = size
        self._order: Byteorder = byteorder
        self._index = 0

    def describe(self) -> None:
        """Write the table anew."""
        table = describe(self._source, self._yard, min(self._size, 32), self._order)
        self._yard.memory.write(_DESC, table)

    def offer(self) -> None:
        """Make heads available: mostly as many as it says, and such as there are."""
        source = self._source
        for _ in range(source.below(4) + 1):
            head = source.near(source.below(self._size), 16)
            self._write(_AVAIL + 4 + 2 * (self._index % self._size), head)
            self._index = (self._index + 1) & 0xFFFF
        self._index = source.near(self._index, 16)
        self._write(_AVAIL + 2, self._index)

    def scribble(self) -> None:
        """Write anything anywhere."""
        data = self._source.blob(16)
        at = _DESC + self._source.below(0x3000)
        self._yard.memory.write(at, data)

    def _write(self, at: int, word: int) -> None:
        self._yard.memory.write(at, word.to_bytes(2, self._order))


def run(case: bytes) -> None:
    """Take chains and give them back, while the driver writes."""
    source = Source(case)
    yard = Yard.of(source)
    byteorder: Byteorder = source.choose(("little", "big"))
    size = source.near(source.choose(_SIZES), 17)
    desc, avail, used = (source.near(at, 64) if source.chance(5) else at for at in _PLACES)
    base = None if source.chance(50) else source.number(17)
    indirect = not source.chance(20)
    ring = SplitRing(
        yard.memory, size, desc, avail, used, base, indirect=indirect, byteorder=byteorder
    )
    driver = Driver(source, yard, size, byteorder)
    taken: list[Chain] = []
    try:
        while source.left:
            _step(source, yard, driver, ring, taken, range(used, used + areas(size)[2]))
    finally:
        ring.release()
    yard.check()


_PLACES = (_DESC, _AVAIL, _USED)


def _step(
    source: Source, yard: Yard, driver: Driver, ring: SplitRing, taken: list[Chain], used: range
) -> None:
    match source.below(8):
        case 0:
            driver.describe()
        case 1:
            driver.offer()
        case 2:
            driver.scribble()
        case 3 | 4:
            _take(ring, taken)
        case 5 if taken:
            before = yard.memory.read(0, used.start), yard.memory.read(used.stop, 0x1000)
            ring.push(taken.pop(0).head, source.number(32))
            after = yard.memory.read(0, used.start), yard.memory.read(used.stop, 0x1000)
            assert before == after, "written outside of the used ring"
        case 6 if taken:
            taken.pop()
            ring.unpop()
        case _:
            ring.rebind(yard.memory, *_PLACES[:2], used.start)


def _take(ring: SplitRing, taken: list[Chain]) -> None:
    before = ring.next_avail
    try:
        waiting = ring.pending
        chain = ring.pop()
    except BadChain as error:
        chain = Chain(error.head, (), ())
    except BrokenRing:
        assert ring.next_avail == before
        return
    assert (chain is None) == (waiting == 0)
    if chain is not None:
        assert 0 <= chain.head < ring.size
        assert ring.next_avail == (before + 1) & 0xFFFF
        taken.append(chain)


TARGET = Target("split-ring", "the device's side of a split ring", run)
