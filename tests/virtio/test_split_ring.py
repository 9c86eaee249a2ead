"""The device's side of a split ring, against the mock driver and against garbage."""

import contextlib
import mmap
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.testing.mocks.driver import DriverRing, Used, make_memory
from aerostat.virtio.chain import NEXT, BadChain, Chain
from aerostat.virtio.memory import BadAddress, GuestMemory, Region
from aerostat.virtio.split_ring import BrokenRing, SplitRing, areas

DATA = 0x8000


def make_pair(size: int = 8, index: int = 0) -> tuple[DriverRing, SplitRing]:
    memory = make_memory((0, 0x10000))
    driver = DriverRing(memory, size, 0, index)
    device = SplitRing(memory, size, driver.desc, driver.avail, driver.used, index)
    return driver, device


def test_a_chain_goes_there_and_back() -> None:
    driver, device = make_pair()
    assert device.pop() is None
    head = driver.add([(DATA, 5)], [(DATA + 8, 3)])
    assert device.pending == 1
    assert device.pop() == Chain(head, ((DATA, 5),), ((DATA + 8, 3),))
    assert device.pop() is None
    assert driver.collect() == []
    device.push(head, 3)
    assert driver.collect() == [Used(head, 3)]


@pytest.mark.statement("VQ-DEV-4")
def test_vq_dev_4_the_element_is_there_before_the_index_says_so() -> None:
    """The index is published last: at that moment the element can be read."""
    driver, device = make_pair()
    head = driver.add([(DATA, 1)])
    device.pop()
    seen: list[bytes] = []
    publish = device._used.publish

    class Watching:
        def publish(self, index: int, value: int) -> None:
            seen.append(driver.memory.read(driver.used + 2, 10))
            publish(index, value)

    device._used = Watching()  # type: ignore[assignment]  # only publish is called
    device.push(head, 9)
    element = head.to_bytes(4, "little") + (9).to_bytes(4, "little")
    assert seen == [b"\0\0" + element]
    assert driver.collect() == [Used(head, 9)]


@pytest.mark.statement("VQ-DEV-6")
def test_vq_dev_6_looking_again_finds_nothing() -> None:
    _, device = make_pair()
    for _ in range(3):
        assert device.pop() is None


def test_used_flags_stay_clear() -> None:
    """Notifications are never suppressed: no flag, no avail_event."""
    driver, device = make_pair(4)
    for _ in range(20):
        driver.add([(DATA, 1)])
        chain = device.pop()
        assert chain
        device.push(chain.head)
        driver.collect()
        assert driver.used_words.load(0) == 0
        assert driver.used_words.load(2 + 4 * 4) == 0


@pytest.mark.parametrize("jump", [9, 0x8000, 0xFFFF])
@pytest.mark.statement("VQ-DRV-5")
def test_vq_drv_5_an_impossible_avail_index_breaks_the_ring(jump: int) -> None:
    driver, device = make_pair(8)
    driver.jump(jump)
    with pytest.raises(BrokenRing, match="ahead"):
        device.pop()
    with pytest.raises(BrokenRing, match="ahead"):
        _ = device.pending


def test_a_full_ring_is_no_jump() -> None:
    driver, device = make_pair(8)
    for _ in range(8):
        driver.add([(DATA, 1)])
    assert device.pending == 8


@pytest.mark.parametrize("head", [8, 9, 0xFFFF])
def test_a_head_beyond_the_table_breaks_the_ring(head: int) -> None:
    driver, device = make_pair(8)
    driver.offer(head)
    with pytest.raises(BrokenRing, match=f"head {head}"):
        device.pop()


def test_a_bad_chain_leaves_the_ring_usable() -> None:
    driver, device = make_pair()
    driver.write_descriptor(5, DATA, 1, NEXT, 5)
    driver.offer(5)
    good = driver.add([(DATA, 1)])
    with pytest.raises(BadChain) as caught:
        device.pop()
    assert caught.value.head == 5
    chain = device.pop()
    assert chain
    assert chain.head == good


def test_a_head_listed_twice_comes_twice() -> None:
    driver, device = make_pair()
    head = driver.add([(DATA, 1)])
    driver.offer(head)
    assert [chain and chain.head for chain in (device.pop(), device.pop())] == [head, head]


def test_avail_flags_and_event_words_mean_nothing() -> None:
    driver, device = make_pair()
    driver.avail_words.store(0, 0xFFFF)
    driver.avail_words.store(2 + 8, 0xFFFF)
    driver.used_words.store(2 + 4 * 8, 0xFFFF)
    head = driver.add([(DATA, 1)])
    assert device.pop() == Chain(head, ((DATA, 1),), ())


def test_unpop_lets_a_successor_find_the_chain_again() -> None:
    driver, device = make_pair()
    head = driver.add([(DATA, 1)])
    device.pop()
    device.unpop()
    assert device.next_avail == 0
    device.release()
    parts = (driver.desc, driver.avail, driver.used)
    successor = SplitRing(driver.memory, 8, *parts, base=device.next_avail)
    chain = successor.pop()
    assert chain
    assert chain.head == head


def test_base_is_16_bits_of_whatever_the_front_end_sends() -> None:
    driver, _ = make_pair()
    driver.add([(DATA, 1)])
    driver.add([(DATA, 1)])
    parts = (driver.desc, driver.avail, driver.used)
    device = SplitRing(driver.memory, 8, *parts, base=0x8000_0001)
    assert device.next_avail == 1
    assert device.pending == 1


def test_base_none_begins_at_the_used_index() -> None:
    """A front-end may give the avail index as base, which would skip what waits."""
    driver, device = make_pair()
    for _ in range(3):
        driver.add([(DATA, 1)])
    first = device.pop()
    assert first
    device.push(first.head)
    successor = SplitRing(driver.memory, 8, driver.desc, driver.avail, driver.used, base=None)
    assert successor.next_avail == 1
    assert successor.pending == 2


def test_a_successor_goes_on_counting_used_entries() -> None:
    driver, device = make_pair(index=65535)
    for _ in range(3):
        head = driver.add([(DATA, 1)])
        assert device.pop()
        device.push(head)
        assert driver.collect() == [Used(head, 0)]
        parts = (driver.desc, driver.avail, driver.used)
        device = SplitRing(driver.memory, 8, *parts, base=device.next_avail)


def test_rebinding_carries_on_in_other_memory() -> None:
    driver, device = make_pair()
    head = driver.add([(DATA, 1)])
    device.pop()
    content = driver.memory.read(0, 0x10000)
    moved = make_memory((0x100000, 0x10000))
    moved.write(0x100000, content)
    parts = [0x100000 + part for part in (driver.desc, driver.avail, driver.used)]
    device.rebind(moved, *parts)
    device.push(head, 7)
    used = moved.read(0x100000 + driver.used + 2, 10)
    assert used == bytes.fromhex("0100") + bytes([head, 0, 0, 0, 7, 0, 0, 0])
    assert device.memory is moved


@pytest.mark.parametrize("size", [0, 3, 6, 65536, -1])
def test_sizes_are_powers_of_two_up_to_32768(size: int) -> None:
    memory = make_memory((0, 0x200000))
    with pytest.raises(BrokenRing, match="descriptors"):
        SplitRing(memory, size, 0, 0x100000, 0x180000)


@pytest.mark.parametrize("size", [1, 2, 32768])
def test_every_legal_size_works(size: int) -> None:
    memory = make_memory((0, 0x200000))
    driver = DriverRing(memory, size, 0)
    device = SplitRing(memory, size, driver.desc, driver.avail, driver.used)
    head = driver.add([(DATA, 1)])
    chain = device.pop()
    assert chain
    device.push(chain.head)
    assert driver.collect() == [Used(head, 0)]


@pytest.mark.parametrize(
    ("desc", "avail", "used"),
    [(8, 0x1000, 0x2000), (0, 0x1001, 0x2000), (0, 0x1000, 0x2002)],
)
@pytest.mark.statement("VQ-DRV-1")
def test_vq_drv_1_misaligned_parts_are_refused(desc: int, avail: int, used: int) -> None:
    with pytest.raises(BrokenRing, match="misaligned"):
        SplitRing(make_memory((0, 0x10000)), 8, desc, avail, used)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_each_part_must_be_in_memory_to_its_end(part: int) -> None:
    size = 8
    end = 0x10000
    parts = [0, 0x1000, 0x2000]
    parts[part] = (end - areas(size)[part]) & ~15
    SplitRing(make_memory((0, end)), size, *parts)
    parts[part] += 16
    with pytest.raises(BrokenRing, match="outside"):
        SplitRing(make_memory((0, end)), size, *parts)


def test_released_rings_let_the_memory_be_unmapped() -> None:
    mapping = mmap.mmap(-1, 0x10000)
    memory = GuestMemory([Region(0, 0x10000, 0, memoryview(mapping))])
    driver = DriverRing(memory, 8, 0)
    device = SplitRing(memory, 8, driver.desc, driver.avail, driver.used)
    driver.add([(DATA, 1)], table=0x4000)
    assert device.pop()
    driver.release()
    device.release()
    memory.release()
    mapping.close()
    assert device.next_avail == 1


def drain(device: SplitRing) -> int:
    """Take chains, read them and give them back until the ring ends or breaks; count them."""
    for served in range(2 * device.size):  # a head that is listed twice comes twice
        try:
            chain = device.pop()
        except BadChain as error:
            chain = Chain(error.head, (), ())
        except BrokenRing:
            return served
        if chain is None:
            return served
        assert len(chain.readable) + len(chain.writable) <= device.size + 1024
        with contextlib.suppress(BadAddress):
            assert len(chain.read(device.memory, 4096)) <= 4096
        device.push(chain.head)
    return 2 * device.size


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 8, 32]))
@settings(max_examples=10 * settings().max_examples)
def test_scribbled_rings_raise_only_peer_errors(seed: int, size: int) -> None:
    memory = make_memory((0, 0x2000), (0x4000, 0x1000))
    driver = DriverRing(memory, size, 0, index=seed % 65536)
    driver.scribble(random.Random(seed), 0x5800)
    parts = (driver.desc, driver.avail, driver.used)
    device = SplitRing(memory, size, *parts, base=None)
    served = drain(device)
    assert served <= size
    assert device.next_avail == driver.used_words.load(1) == (seed + served) % 65536


@given(st.binary(min_size=256, max_size=256), st.sampled_from([1, 2, 4]), st.integers(0, 65535))
@settings(max_examples=5 * settings().max_examples)
def test_garbage_rings_raise_only_peer_errors(content: bytes, size: int, base: int) -> None:
    memory = make_memory((0, 0x1000))
    memory.write(0, content)
    device = SplitRing(memory, size, 0, 0x40, 0x80, base)
    assert drain(device) <= 2 * size
