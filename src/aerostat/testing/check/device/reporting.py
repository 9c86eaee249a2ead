"""Checks of free page reporting and of page poison (virtio 1.2, 5.5.6.6 and 5.5.6.7)."""

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.testing.check.checks import Judge
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.page_check import Pages, shown
from aerostat.testing.check.device.registry import CHECKS
from aerostat.testing.check.device.requests import good_requests
from aerostat.units import MIB

_POISON_VAL = 12
_POISON = 0xAAAA_AAAA
# Linux reports so much at once, in pieces.
_PIECES = 2
_PIECE = MIB // 2


def _report(machine: Machine, *numbers: int) -> int:
    lane = machine.lanes[Queue.REPORTING]
    lane.offer([], [(number * PAGE_SIZE, PAGE_SIZE) for number in numbers])
    return lane.wait()[0].written


@CHECKS.add("USE-DEV-2", "DEV-REP-1", "VQ-DEV-4", needs=["PAGE_REPORTING"])
def reported_pages_are_taken_and_no_others(machine: Machine, judge: Judge) -> None:
    """Without PAGE_POISON, report pages of both regions, large pieces and single pages.

    They must be the host's when the report comes back, and no others.
    """
    machine.start(machine.without("PAGE_POISON"))
    low, high = machine.pages
    pages = Pages(machine, [*low[-300:], *high[:300], *high[-2:]])
    given = [*low[-1:], *high[:256], high[-1]]
    lane = machine.lanes[Queue.REPORTING]
    lane.offer([], [(low[-1] * PAGE_SIZE, PAGE_SIZE), (high[0] * PAGE_SIZE, 256 * PAGE_SIZE)])
    lane.offer([], [(high[-1] * PAGE_SIZE, PAGE_SIZE)])
    for used in lane.wait(2):
        judge.expect(
            used.written == 0, "VQ-DEV-4", f"{used.written} bytes said to be written to a report"
        )
    late = pages.released(given)
    judge.expect(not late, "USE-DEV-2", f"{shown(late)}: not the host's when the report came back")
    kept = [one for one in pages.numbers if one not in set(given)]
    wrong = pages.changed(kept)
    judge.expect(not wrong, "DEV-REP-1", f"{shown(wrong)} changed, which nobody reported")


@CHECKS.add("DEV-REP-2", "DEV-POISON-1", needs=["PAGE_REPORTING", "PAGE_POISON"])
def reported_pages_keep_their_poison(machine: Machine, judge: Judge) -> None:
    """Fill pages with poison_val, first other than zeros and then zeros, and report them.

    The driver must find there what it expects, when it looks again.
    """
    for poison in (_POISON, 1, 0):
        machine.start(run=False)
        machine.transport.write_config(_POISON_VAL, poison.to_bytes(4, "little"))
        machine.run()
        start = machine.pages[1][0] * PAGE_SIZE
        filled = poison.to_bytes(4, "little") * (_PIECE // 4)
        ranges = [(start + piece * _PIECE, _PIECE) for piece in range(_PIECES)]
        for address, _ in ranges:
            machine.memory.write(address, filled)
        lane = machine.lanes[Queue.REPORTING]
        lane.offer([], ranges)
        lane.wait()
        lane.watch(machine.hush)
        for address, length in ranges:
            found = machine.memory.read(address, length)
            judge.expect(
                found == filled,
                "DEV-REP-2",
                f"a page full of {poison:#x} has {found[:4].hex()} once it was reported",
            )
    good_requests(machine)


@CHECKS.add("DEV-REP-3", needs=["PAGE_REPORTING"])
def reported_pages_are_left_alone_afterwards(machine: Machine, judge: Judge) -> None:
    """Report pages, write to them when they are back, and report others.

    What was written must stay.
    """
    machine.start()
    numbers = machine.pages[1][:64]
    pages = Pages(machine, numbers)
    _report(machine, *numbers[:32])
    pages.fill(numbers[:32])
    _report(machine, *numbers[48:])
    machine.lanes[Queue.REPORTING].watch(2 * machine.hush)
    wrong = pages.changed(numbers[:48])
    judge.expect(not wrong, "DEV-REP-3", f"{shown(wrong)} changed after the report had come back")
