"""What is in the balloon's buffers: statistics, page numbers, ranges; and the configuration."""

import struct
from typing import get_args

from aerostat.balloon.abi import PAGE_SIZE, Config, Queue, QueueRule, number_queues
from aerostat.balloon.blocks import BalloonBlocks
from aerostat.balloon.pages import Range, cut_ranges, merge_pfns, merge_ranges
from aerostat.balloon.statistics import ENTRY_SIZE, MAX_ENTRIES, encode, parse
from aerostat.errors import UsageError
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.virtio.memory import Byteorder

_ORDERS: tuple[Byteorder, ...] = ("little", "big")
_MANY = 1 << 12


def run(case: bytes) -> None:
    """Read one buffer, and compare with what it must come to."""
    source = Source(case)
    kinds = (_statistics, _pages, _ranges, _config, _blocks, _numbers)
    source.choose(kinds)(source)


def _statistics(source: Source) -> None:
    order = source.choose(_ORDERS)
    payload = source.rest() * source.choose((1, 1, 1, 40))
    found = parse(payload, order)
    entries = [
        payload[at : at + ENTRY_SIZE] for at in range(0, len(payload) - ENTRY_SIZE + 1, ENTRY_SIZE)
    ]
    expected = {
        int.from_bytes(one[:2], order): int.from_bytes(one[2:], order)
        for one in entries[:MAX_ENTRIES]
    }
    assert found == expected
    assert parse(encode(found, order), order) == found
    try:
        encode({source.near(70_000, 20): 0}, order)
    except UsageError:
        return


def _pages(source: Source) -> None:
    order = source.choose(_ORDERS)
    if source.chance(50):
        near = source.number(32)
        pfns = [(near + source.below(64)) & 0xFFFFFFFF for _ in range(source.left)]
        payload = struct.pack(f"{'<' if order == 'little' else '>'}{len(pfns)}I", *pfns)
    else:
        payload = source.rest()
        whole = range(0, len(payload) - 3, 4)
        pfns = [int.from_bytes(payload[at : at + 4], order) for at in whole]
    ranges = merge_pfns(payload, order)
    _check_merged(ranges)
    pages = [
        page
        for address, length in ranges
        for page in range(address // PAGE_SIZE, (address + length) // PAGE_SIZE)
    ]
    assert pages == sorted(set(pfns))


def _ranges(source: Source) -> None:
    near = source.number(64)
    ranges = [
        (source.near(near, 64), 1 + source.number(source.choose((12, 20))))
        for _ in range(source.below(16))
    ]
    merged = merge_ranges(ranges)
    _check_merged(merged)
    for address, length in ranges:
        assert any(a <= address and address + length <= a + size for a, size in merged)
    assert sum(length for _, length in merged) <= sum(length for _, length in ranges)
    size = source.near(1 << 16, 20) + 1
    if sum(length for _, length in merged) // size > _MANY:
        return
    groups = list(cut_ranges(merged, size))
    assert all(sum(length for _, length in group) == size for group in groups[:-1])
    assert merge_ranges(part for group in groups for part in group) == merged


def _check_merged(ranges: list[Range]) -> None:
    ends = [address + length for address, length in ranges]
    assert all(length > 0 for _, length in ranges)
    assert all(end < address for end, (address, _) in zip(ends, ranges[1:], strict=False))


def _config(source: Source) -> None:
    config = Config()
    config.num_pages = target = source.bits(32)
    while source.left:
        poison = source.chance(50)
        before = config.poison_val
        config.write(source.number(32), source.blob(40), poison=poison)
        assert poison or config.poison_val == before
        assert config.num_pages == target
        assert 0 <= config.actual <= 0xFFFFFFFF
        offset, size = source.number(32), source.below(300)
        part = config.read(offset, size)
        assert part == config.read(0, Config.SIZE)[offset : offset + size].ljust(size, b"\0")


def _blocks(source: Source) -> None:
    pages = source.choose((512, 2, 16))
    blocks = BalloonBlocks(pages * PAGE_SIZE)
    held: set[int] = set()
    while source.left:
        start = source.below(4 * pages * PAGE_SIZE)
        end = start + source.below(3 * pages * PAGE_SIZE)
        if source.chance(5):
            blocks.clear()
            held.clear()
        if source.chance(10):
            blocks = _successor(blocks, pages)
        if source.chance(30):
            blocks.remove(start, end)
            held -= set(range(start // PAGE_SIZE, -(-end // PAGE_SIZE)))
            continue
        held |= set(range(-(-start // PAGE_SIZE), end // PAGE_SIZE))
        first, last = blocks.add(start, end)
        assert first <= last
        assert set(range(first // PAGE_SIZE, last // PAGE_SIZE)) <= held, "freed what is in use"


def _successor(blocks: BalloonBlocks, pages: int) -> BalloonBlocks:
    """Return what another process makes of what the first one hands over."""
    other = BalloonBlocks(pages * PAGE_SIZE)
    other.restore([*blocks.state(), (1 << 40, "0"), (1 << 41, "f" * 300)])
    block_size = pages * PAGE_SIZE
    other.remove(block_size << 41, (block_size << 41) + block_size)
    assert sorted(other.state()) == sorted(blocks.state())
    return other


def _numbers(source: Source) -> None:
    offered, negotiated = source.bits(64), source.bits(64)
    negotiated &= offered
    configured = {source.below(6) for _ in range(source.below(6))}
    rule = source.choose((None, *get_args(QueueRule)))
    numbers = number_queues(offered, negotiated, configured, rule)
    assert len(set(numbers.values())) == len(numbers)
    assert all(0 <= index < len(Queue) for index in numbers)
    assert {Queue.INFLATE, Queue.DEFLATE} <= set(numbers.values())


TARGET = Target("buffers", "statistics, page numbers, reports, the configuration space", run)
