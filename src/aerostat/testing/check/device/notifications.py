"""Checks of notifications (virtio 1.2, 2.7.7, 2.7.10), of which none may be lost."""

from aerostat.balloon.abi import Queue
from aerostat.testing.check.checks import Judge, Unobservable
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.registry import CHECKS
from aerostat.testing.mocks.driver import DriverRing

_TURNS = 20


@CHECKS.add("VQ-DEV-5")
def each_used_buffer_is_notified_of(machine: Machine, judge: Judge) -> None:
    """Send requests with the avail ring's flags at 0, and wait for the notification of each.

    Without EVENT_IDX, which puts something else in their place.
    """
    machine.start(machine.without("EVENT_IDX"))
    page = machine.pages[1][0]
    for queue in (Queue.INFLATE, Queue.DEFLATE):
        lane = machine.lanes[queue]
        for _ in range(_TURNS):
            lane.send(machine.pfns(page))
            if not lane.called(machine.patience) and lane.wait():
                judge.violated("VQ-DEV-5", f"a buffer of the {queue.name} queue came back unsaid")
                return
            # The device may say it before we see it, never the other way round.
            lane.wait()


@CHECKS.add("VQ-DEV-6")
def kicks_for_nothing_are_borne(machine: Machine, judge: Judge) -> None:
    """Kick every queue many times with nothing on it, and then send requests."""
    machine.start()
    for lane in machine.lanes.values():
        for _ in range(_TURNS):
            lane.kick()
        back = lane.watch(machine.hush / 2)
        judge.expect(not back, "VQ-DEV-6", f"{len(back)} buffers came back that nobody sent")
    machine.inflate(machine.pages[1][0])
    machine.deflate(machine.pages[1][0])


@CHECKS.add("VQ-DEV-5", needs=["EVENT_IDX"])
def used_event_is_obeyed(machine: Machine, judge: Judge) -> None:
    """With EVENT_IDX, ask by used_event for the notification of the third of three requests."""
    machine.start()
    lane = machine.lanes[Queue.INFLATE]
    ring = lane.ring
    if not isinstance(ring, DriverRing):
        raise Unobservable("only split rings have used_event")
    for turn in range(_TURNS):
        ring.avail_words.store(2 + ring.size, (turn + 1) * 3 - 1 & 0xFFFF)
        for _ in range(3):
            # Kicked every time: avail_event need not be looked at then.
            lane.send(machine.pfns(machine.pages[1][0]))
        if not lane.called(machine.patience):
            judge.violated("VQ-DEV-5", f"used_event {turn * 3 + 2} was passed unsaid")
            return
        lane.wait(3)
