"""Checks of inflating and deflating (virtio 1.2, 5.5.6): which pages change, and when."""

from itertools import chain

from aerostat.balloon.abi import MUST_TELL_HOST, Queue
from aerostat.errors import PeerError
from aerostat.testing.check.checks import Judge, Unobservable
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.page_check import Pages, shown
from aerostat.testing.check.device.registry import CHECKS
from aerostat.testing.check.device.socket_transport import socket_of
from aerostat.vhost_user.messages import ProtocolFeature
from aerostat.virtio.features import VERSION_1, bit

# Linux's drivers name so many in a request.
_REQUEST = 256


@CHECKS.add("DEV-OP-3", "VQ-DEV-4")
def requests_come_back(machine: Machine, judge: Judge) -> None:
    """Send requests of 1 to 256 pages on both queues, one by one and many at once.

    Each buffer must come back once, with nothing written to it.
    """
    machine.start()
    first = machine.pages[1][0]
    for queue in (Queue.INFLATE, Queue.DEFLATE):
        lane = machine.lanes[queue]
        for count in (1, 2, 3, 255, _REQUEST):
            head = lane.send(machine.pfns(*range(first, first + count)))
            (used,) = lane.wait()
            judge.expect(used.head == head, "DEV-OP-3", f"{used.head} came back, not {head}")
            judge.expect(
                used.written == 0, "VQ-DEV-4", f"{used.written} bytes written to a readable buffer"
            )
        for _ in range(3):
            heads = {lane.send(machine.pfns(first + one)) for one in range(lane.ring.size)}
            back = {used.head for used in lane.wait(len(heads))}
            judge.expect(back == heads, "DEV-OP-3", f"of {len(heads)}, {len(back)} came back")
    for lane in machine.lanes.values():
        more = lane.watch(machine.hush)
        judge.expect(not more, "DEV-OP-3", f"{len(more)} buffers came back for nothing")


@CHECKS.add("DEV-OP-3")
def rings_of_any_size(machine: Machine, judge: Judge) -> None:
    """On rings of 2 to 1024 descriptors, send more requests than there are descriptors."""
    first = machine.pages[1][0]
    for size in (2, 8, 256, 1024):
        machine.start(size=size)
        lane = machine.lanes[Queue.INFLATE]
        for number in range(size + 2):
            head = lane.send(machine.pfns(first + number % 8))
            (used,) = lane.wait()
            judge.expect(used.head == head, "DEV-OP-3", f"in a ring of {size}, {used.head} for it")


@CHECKS.add("DEV-OP-3", "VU-DEV-6")
def indices_wrap_around(machine: Machine, judge: Judge) -> None:
    """Begin rings at indices just below 65536, and send requests beyond it."""
    machine.start(first=65536 - 20)
    lane = machine.lanes[Queue.INFLATE]
    page = machine.pages[1][0]
    for _ in range(40):
        head = lane.send(machine.pfns(page))
        (used,) = lane.wait()
        if not judge.expect(used.head == head, "DEV-OP-3", f"{used.head} came back, not {head}"):
            break


@CHECKS.add("USE-DEV-1", "DEV-OP-1", "VU-DEV-9")
def pages_are_taken_and_no_others(machine: Machine, judge: Judge) -> None:
    """Write to pages of both regions, and give every third, the last and the first ones too.

    Those that were named must be the host's when the buffers come back; all others must have what
    was written to them, and be where they were.
    """
    machine.start()
    low, high = machine.pages
    # What lies at the ends of regions is what a wrong bound takes, or forgets.
    near = [low[-600:], high[:600], high[-4:]]
    pages = Pages(machine, chain(low[:4], *near))
    given = [pages.numbers[0], *pages.numbers[2::3], high[0], low[-1], high[-1]]
    given = list(dict.fromkeys(given))
    for begin in range(0, len(given), _REQUEST):
        part = given[begin : begin + _REQUEST]
        machine.inflate(*reversed(part))
        late = pages.released(part)
        judge.expect(
            not late, "USE-DEV-1", f"{shown(late)}: not the host's when the request came back"
        )
    kept = [one for one in pages.numbers if one not in set(given)]
    _unharmed(machine, judge, pages, kept, "DEV-OP-1")
    # With wrong addresses other pages go: in the wrong place of the file, or the wrong region.
    for region in (low, high):
        wrong = pages.changed([one for one in kept if one in region])
        judge.expect(not wrong, "VU-DEV-9", f"{shown(wrong)} changed, which nobody gave")


def _unharmed(machine: Machine, judge: Judge, pages: Pages, kept: list[int], id_: str) -> None:
    try:
        gone = sorted(pages.holes(kept))
        judge.expect(not gone, id_, f"{shown(gone)} taken, which nobody gave")
    except Unobservable:
        pass  # what a hole would show, the contents show too
    machine.transport.settle()
    wrong = pages.changed(kept)
    judge.expect(not wrong, id_, f"{shown(wrong)} changed, which nobody gave")


@CHECKS.add("USE-DEV-1", "DEV-OP-1")
def pages_go_before_the_answer(machine: Machine, judge: Judge) -> None:
    """Give 256 pages at once that do not adjoin, the worst for whoever takes them one by one.

    The moment a buffer is back, all its pages must be the host's.
    """
    machine.start()
    pages = Pages(machine, machine.pages[1][: 8 * _REQUEST])
    lane = machine.lanes[Queue.INFLATE]
    for turn in range(4):
        given = pages.numbers[turn * 2 * _REQUEST : (turn + 1) * 2 * _REQUEST : 2]
        lane.send(machine.pfns(*given))
        # Looked at all the time: a call may come later than the index.
        while not lane.collect():
            machine.deadline.left()
        late = pages.released(given)
        judge.expect(
            not late, "USE-DEV-1", f"{len(late)} of {len(given)} pages went after the answer"
        )
    wrong = pages.changed(pages.numbers[1::2])
    judge.expect(not wrong, "DEV-OP-1", f"{shown(wrong)} changed, which nobody gave")


@CHECKS.add("DEV-OP-2", "DEV-OP-1", seconds=15)
def pages_are_left_alone_when_taken_back(machine: Machine, judge: Judge) -> None:
    """Give pages, take them back, and write to them while others are given.

    What was written must stay. A driver that leaves MUST_TELL_HOST writes before it takes them
    back: once the request that gave them has come back, the device may not touch them any more.
    """
    machine.start()
    _given_and_taken_back(machine, judge, told=True)
    if machine.try_start(machine.offered & ~bit(MUST_TELL_HOST)):
        _given_and_taken_back(machine, judge, told=False)


def _given_and_taken_back(machine: Machine, judge: Judge, *, told: bool) -> None:
    numbers = machine.pages[1][:64]
    pages = Pages(machine, numbers)
    machine.inflate(*numbers[:32])
    if told:
        machine.deflate(*numbers[:32])
    pages.fill(numbers[:32])
    machine.inflate(*numbers[48:])
    if not told:
        machine.deflate(*numbers[:32])
    machine.deflate(*numbers[48:])
    machine.lanes[Queue.INFLATE].watch(2 * machine.hush)
    wrong = pages.changed(numbers[:32])
    how = "with" if told else "without"
    judge.expect(
        not wrong, "DEV-OP-2", f"{shown(wrong)} changed when it was the guest's, {how} telling"
    )
    others = pages.changed(numbers[32:48])
    judge.expect(not others, "DEV-OP-1", f"{shown(others)} changed, which nobody gave")


@CHECKS.add("LEG-FEAT-1", "LEG-FEAT-2")
def legacy_drivers_are_served(machine: Machine, judge: Judge) -> None:
    """Give pages without VERSION_1 and MUST_TELL_HOST, and use them before telling.

    Where the device refuses it, it is not transitional, and none of that is asked of it.
    """
    features = machine.offered & ~bit(VERSION_1) & ~bit(MUST_TELL_HOST)
    if not machine.try_start(features):
        raise Unobservable("the device is not transitional: it takes no driver without VERSION_1")
    numbers = machine.pages[1][:8]
    pages = Pages(machine, numbers)
    machine.inflate(*numbers)
    pages.fill()
    machine.inflate(machine.pages[0][0])
    machine.deflate(*numbers)
    wrong = pages.changed()
    judge.expect(not wrong, "LEG-FEAT-2", f"{shown(wrong)} changed under who need not tell")


@CHECKS.add("LEG-VQ-2")
def big_endian_guests_are_served(machine: Machine, judge: Judge) -> None:
    """Give pages without VERSION_1, with rings and page numbers that are big-endian."""
    if not socket_of(machine).agreed(ProtocolFeature.CROSS_ENDIAN):
        raise Unobservable("the device cannot be told of big-endian rings (CROSS_ENDIAN)")
    try:
        machine.start(machine.without("VERSION_1"), byteorder="big")
    except PeerError:
        raise Unobservable("the device takes no driver without VERSION_1") from None
    pages = Pages(machine, machine.pages[1][:8])
    machine.inflate(*pages.numbers[::2])
    late = pages.released(pages.numbers[::2])
    judge.expect(not late, "LEG-VQ-2", f"{shown(late)} left, named by a big-endian guest")
    wrong = pages.changed(pages.numbers[1::2])
    judge.expect(not wrong, "LEG-VQ-2", f"{shown(wrong)} taken, which nobody named")
