"""Checks of how a device reads descriptors, and of what it writes (virtio 1.2, 2.7.4 to 2.7.8)."""

import struct

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.statistics import ENTRY_SIZE, encode
from aerostat.testing.check.checks import Judge, Unobservable
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.page_check import Pages, shown
from aerostat.testing.check.device.registry import CHECKS
from aerostat.testing.check.device.requests import STATISTICS
from aerostat.testing.mocks.driver import DriverRing
from aerostat.virtio.chain import INDIRECT, NEXT, WRITE

_PFN = 4


@CHECKS.add("VQ-DEV-2")
def arrays_are_split_anywhere(machine: Machine, judge: Judge) -> None:
    """Send page numbers, and statistics, in descriptors of 1 byte, of 3, and of odd lengths.

    All pages that are named must be taken, as if they were in one descriptor.
    """
    machine.start()
    pages = Pages(machine, machine.pages[1][:32])
    given = pages.numbers[::2]
    for cuts in ([1] * 31, [3] * 20, [1, 2, 5, 4, 7], [2 * _PFN], [60]):
        pages.fill()
        machine.lanes[Queue.INFLATE].request(machine.pfns(*given), cuts)
        late = pages.released(given)
        lengths = ", ".join(map(str, cuts[:5]))
        judge.expect(
            not late, "VQ-DEV-2", f"{shown(late)} left, in descriptors of {lengths}... bytes"
        )
        wrong = pages.changed(pages.numbers[1::2])
        judge.expect(not wrong, "VQ-DEV-2", f"{shown(wrong)} taken, which nobody named")
    if Queue.STATS in machine.lanes:
        lane = machine.lanes[Queue.STATS]
        for cut in range(1, ENTRY_SIZE):
            lane.send(encode(STATISTICS), [cut])
        lane.wait(ENTRY_SIZE - 2)


@CHECKS.add("VQ-DEV-2")
def a_request_need_not_be_aligned(machine: Machine, judge: Judge) -> None:
    """Send page numbers at an odd address, and across the end of a page."""
    machine.start()
    pages = Pages(machine, machine.pages[1][:16])
    lane = machine.lanes[Queue.INFLATE]
    for address in (machine.scratch_at + 3, machine.scratch_at + PAGE_SIZE - 6):
        pages.fill()
        payload = machine.pfns(*pages.numbers)
        machine.memory.write(address, payload)
        lane.offer([(address, len(payload))])
        lane.wait()
        late = pages.released(pages.numbers)
        judge.expect(not late, "VQ-DEV-2", f"{shown(late)} left, named at {address:#x}")


@CHECKS.add("VQ-DEV-3", "VQ-DEV-2", needs=["INDIRECT_DESC"])
def indirect_tables_are_read(machine: Machine, judge: Judge) -> None:
    """Send page numbers in indirect tables: alone, marked WRITE, and after plain descriptors."""
    machine.start()
    pages = Pages(machine, machine.pages[1][:8])
    lane = machine.lanes[Queue.INFLATE]
    payload = lane.put(machine.pfns(*pages.numbers))[0]
    lane.offer([(payload, 12), (payload + 12, 20)], table=machine.scratch_at)
    lane.wait()
    late = pages.released(pages.numbers)
    judge.expect(not late, "VQ-DEV-3", f"{shown(late)} left, named by an indirect table")
    for flags, plain in ((INDIRECT | WRITE, 0), (INDIRECT, 2)):
        machine.start()
        pages.fill()
        _table_after(machine, flags, plain, pages.numbers)
        late = pages.released(pages.numbers)
        judge.expect(
            not late, "VQ-DEV-3",
            f"{shown(late)} left, named by an indirect table"
            + (" that is marked WRITE" if flags & WRITE else f" after {plain} descriptors"),
        )  # fmt: skip


def _table_after(machine: Machine, flags: int, plain: int, numbers: list[int]) -> None:
    """Have a chain served of `plain` descriptors, a number in each, and a table with the rest."""
    lane = machine.lanes[Queue.INFLATE]
    ring = lane.ring
    if not isinstance(ring, DriverRing):
        raise Unobservable("only split rings can have both")
    payload = machine.scratch_at + PAGE_SIZE
    machine.memory.write(payload, machine.pfns(*numbers))
    rest = struct.pack("<QIHH", payload + plain * _PFN, (len(numbers) - plain) * _PFN, 0, 0)
    machine.memory.write(machine.scratch_at, rest)
    # Descriptors that `add` has not come to.
    first = ring.size - 4
    for place in range(plain):
        ring.write_descriptor(first + place, payload + place * _PFN, _PFN, NEXT, first + place + 1)
    ring.write_descriptor(first + plain, machine.scratch_at, len(rest), flags)
    before = ring.used_words.acquire(1)
    ring.offer(first)
    lane.kick()
    while ring.used_words.acquire(1) == before:
        machine.deadline.left()
        lane.called(0.001)


@CHECKS.add("VQ-DEV-1", "VQ-DEV-4")
def nothing_is_written_but_used_rings(machine: Machine, judge: Judge) -> None:
    """Have requests served on all queues, and compare all rings and buffers before and after."""
    machine.start()
    start = machine.rings_at
    size = machine.scratch_at - start
    page = machine.pfns(machine.pages[1][0])
    payloads = {Queue.INFLATE: page, Queue.DEFLATE: page}
    if Queue.STATS in machine.lanes:
        payloads[Queue.STATS] = encode(STATISTICS, machine.byteorder)
    lanes = [machine.lanes[queue] for queue in payloads]
    for lane, payload in zip(lanes, payloads.values(), strict=True):
        lane.ring.add([lane.put(payload)])
    # Before it is told of them, or a quick device would have been through with them.
    before = machine.memory.read(start, size)
    for lane in lanes:
        lane.kick()
    machine.lanes[Queue.INFLATE].wait()
    machine.lanes[Queue.DEFLATE].wait()
    machine.transport.settle()
    after = machine.memory.read(start, size)
    used = _used_rings(machine)
    wrong = [
        start + at
        for at in range(0, size, 2)
        if before[at : at + 2] != after[at : at + 2] and start + at not in used
    ]
    judge.expect(
        not wrong, "VQ-DEV-1", f"{len(wrong) * 2} bytes written, at {wrong[:1]} and elsewhere"
    )
    _elements_come_first(machine, judge)


def _used_rings(machine: Machine) -> set[int]:
    used: set[int] = set()
    for lane in machine.lanes.values():
        if not isinstance(lane.ring, DriverRing):
            raise Unobservable("a packed ring is written to by both sides")
        used |= {*range(lane.ring.used, lane.ring.end, 2)}
    return used


def _elements_come_first(machine: Machine, judge: Judge) -> None:
    """Look, each time the used index moves, whether its element is there."""
    lane = machine.lanes[Queue.INFLATE]
    ring = lane.ring
    assert isinstance(ring, DriverRing)
    page = machine.pages[1][0]
    for _ in range(3):
        begin = ring.used_words.acquire(1)
        heads = [lane.send(machine.pfns(page)) for _ in range(ring.size)]
        for place, head in enumerate(heads):
            while ring.used_words.acquire(1) - begin & 0xFFFF <= place:
                machine.deadline.left()
            slot = (begin + place) % ring.size
            found = struct.unpack("<II", machine.memory.read(ring.used + 4 + slot * 8, 8))
            judge.expect(found == (head, 0), "VQ-DEV-4", f"the used index came before {head}")
        lane.wait(len(heads))


@CHECKS.add("VQ-DEV-7", needs=["IN_ORDER"])
def buffers_come_back_in_their_order(machine: Machine, judge: Judge) -> None:
    """With IN_ORDER, send many requests at once; they must come back as they were sent."""
    machine.start()
    lane = machine.lanes[Queue.INFLATE]
    heads = [lane.send(machine.pfns(machine.pages[1][0])) for _ in range(lane.ring.size)]
    back = [used.head for used in lane.wait(len(heads))]
    judge.expect(back == heads, "VQ-DEV-7", f"{back[:4]}... came back for {heads[:4]}...")
