"""Guest memory, asked for ranges that a guest has made up."""

from aerostat.errors import PeerError
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.yard import USER_BASE, Yard
from aerostat.virtio.memory import BadAddress, Piece

_MOST = 3 * 4096


def run(case: bytes) -> None:
    """Read, write and look up ranges; compare with what a slow way finds."""
    source = Source(case)
    yard = Yard.of(source)
    while source.left:
        address = yard.address(source)
        match source.below(5):
            case 0:
                _copy(yard, source, address)
            case 1:
                _clip(yard, source)
            case 2:
                _words(yard, source, address)
            case 3:
                _area(yard, source, address)
            case _:
                _translate(yard, source)
    yard.check()


def _copy(yard: Yard, source: Source, address: int) -> None:
    data = bytes([source.byte() | 1]) * source.number(14)
    before = yard.content()
    whole = sum(length for _, length in yard.inside(address, len(data))) == len(data)
    try:
        yard.memory.write(address, data)
        written = True
    except BadAddress:
        written = False
    assert written == whole, "a write"
    if not whole:
        assert yard.content() == before, "half a write"
    try:
        assert yard.memory.read(address, len(data)) == data
        read = True
    except BadAddress:
        read = False
    assert read == whole, "a read"


def _clip(yard: Yard, source: Source) -> None:
    ranges = [
        (yard.address(source), source.number(source.choose((14, 32, 64))))
        for _ in range(source.below(8))
    ]
    pieces, outside = yard.memory.clip(ranges)
    expected = [part for one in ranges for part in yard.inside(*one)]
    assert [(_address(piece), piece.length) for piece in pieces] == expected
    assert outside == sum(length for _, length in ranges) - sum(length for _, length in expected)
    for region, offset, length in pieces:
        assert 0 <= offset < offset + length <= region.size


def _address(piece: Piece) -> int:
    return piece.region.guest_address + piece.offset


def _words(yard: Yard, source: Source, address: int) -> None:
    count = source.number(11)
    words = yard.memory.words16(address, count, source.choose(("little", "big")))
    if count:
        index, value = source.below(count), source.bits(16)
        words.store(index, value)
        assert words.load(index) == words.acquire(index) == value
        words.publish(index, 0)
    words.release()


def _area(yard: Yard, source: Source, address: int) -> None:
    length = source.number(14)
    try:
        view = yard.memory.area(address, length)
    except BadAddress:
        return
    assert view.nbytes == length
    assert any(start <= address <= start + size - length for start, size in yard.spans)
    view[:] = b"\x55" * length
    view.release()


def _translate(yard: Yard, source: Source) -> None:
    user, length = source.near(USER_BASE + source.below(_MOST), 64), source.number(14)
    try:
        address = yard.memory.user_to_guest(user, length)
    except PeerError:
        return
    inside = yard.inside(address, length)
    assert not length or inside == [(address, length)] or len(inside) > 1


TARGET = Target("memory", "guest memory: ranges that a guest made up", run)
