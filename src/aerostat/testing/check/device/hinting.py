"""Checks of free page hinting (virtio 1.2, 5.5.6.5), as far as no host begins a round."""

import struct

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.testing.check.checks import Judge
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.page_check import Pages, shown
from aerostat.testing.check.device.registry import CHECKS

_CMD_ID = 8
_STOP, _DONE = 0, 1


@CHECKS.add("DEV-HINT-1", needs=["FREE_PAGE_HINT"])
def nobody_asks_for_hints(machine: Machine, judge: Judge) -> None:
    """Read the command id, while the host has no use for hints."""
    machine.start()
    command = machine.word(_CMD_ID)
    if command == _DONE:
        judge.saw("DEV-HINT-1", "the id is DONE, which no driver takes for a command either")
    elif command != _STOP:
        judge.unobservable("DEV-HINT-1", f"a round is under way: the command id is {command}")


@CHECKS.add("DEV-HINT-3", "DEV-HINT-5", needs=["FREE_PAGE_HINT"])
def hints_of_another_round_are_ignored(machine: Machine, judge: Judge) -> None:
    """Hint pages with an id that is not the current one, and with none.

    Their buffers must come back, and nothing of them may change.
    """
    machine.start()
    lane = machine.lanes[Queue.HINT]
    pages = Pages(machine, machine.pages[1][:32])
    current = machine.word(_CMD_ID)
    hints = [(number * PAGE_SIZE, 8 * PAGE_SIZE) for number in pages.numbers[::8]]
    for command in (None, current + 7, max(current - 1, 2), _STOP, _DONE):
        if command is not None:
            lane.send(struct.pack("<I", command))
        for hint in hints:
            lane.offer([], [hint])
    lane.wait(5 * len(hints) + 4)
    lane.watch(machine.hush)
    wrong = pages.taken()
    judge.expect(not wrong, "DEV-HINT-3", f"{shown(wrong)} changed, hinted in no round")
    judge.expect(not wrong, "DEV-HINT-5", f"{shown(wrong)} changed after DONE")
