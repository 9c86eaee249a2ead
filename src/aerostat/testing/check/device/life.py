"""Checks of a device's beginning, pauses and resets (virtio 1.2, 2.1; vhost-user's rings)."""

from collections.abc import Iterable
from contextlib import suppress

from aerostat.balloon.abi import Queue
from aerostat.errors import LinkError
from aerostat.testing.check.checks import Judge, Unobservable
from aerostat.testing.check.device.lane import Lane
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.page_check import Pages, shown
from aerostat.testing.check.device.registry import CHECKS
from aerostat.testing.check.device.requests import establish, good_requests, statistics
from aerostat.testing.check.device.socket_transport import SocketTransport, socket_of
from aerostat.testing.mocks.driver import DriverRing
from aerostat.vhost_user.messages import ProtocolFeature
from aerostat.vhost_user.setup import NEEDS_RESET


@CHECKS.add("ST-DEV-1", "VU-DEV-3", "VU-DEV-4")
def nothing_before_the_driver_is_ready(machine: Machine, judge: Judge) -> None:
    """Set up queues with a request on each, kick them, and only later let them run.

    Nothing may be taken before; all of it must be taken then, without another kick.
    """
    machine.start(run=False)
    pages = Pages(machine, machine.pages[1][:2])
    lanes = [machine.lanes[Queue.INFLATE], machine.lanes[Queue.DEFLATE]]
    for lane, page in zip(lanes, pages.numbers, strict=True):
        lane.send(machine.pfns(page))
    machine.transport.settle()
    _untouched(machine, judge, ("ST-DEV-1", "VU-DEV-3"), lanes, pages)
    machine.run()
    for lane in lanes:
        try:
            lane.wait()
        except LinkError:
            name = lane.queue.name
            judge.violated("VU-DEV-4", f"what lay on the {name} queue already is not looked at")
            return


def _untouched(
    machine: Machine, judge: Judge, ids: Iterable[str], lanes: Iterable[Lane], pages: Pages
) -> None:
    for lane in lanes:
        back, called = lane.watch(machine.hush), lane.called()
        for id_ in ids:
            judge.expect(not back, id_, f"a buffer of the {lane.queue.name} queue came back")
            judge.expect(not called, id_, f"the {lane.queue.name} queue was notified")
    wrong = pages.taken()
    for id_ in ids:
        judge.expect(not wrong, id_, f"{shown(wrong)} taken")


@CHECKS.add("ST-DEV-3")
def a_reset_device_leaves_its_queues_alone(machine: Machine, judge: Judge) -> None:
    """Reset the device with requests on its queues, kick, and begin anew after that.

    Nothing may be taken from the old rings, the status must be 0, and the new driver served.
    """
    machine.start()
    establish(machine)
    pages = Pages(machine, machine.pages[1][:2])
    lanes = [machine.lanes[Queue.INFLATE], machine.lanes[Queue.DEFLATE]]
    machine.reset()
    with suppress(Unobservable):
        status = machine.transport.status()
        judge.expect(not status, "ST-DEV-3", f"the status is {status} after a reset")
    for lane, page in zip(lanes, pages.numbers, strict=True):
        lane.collect()
        lane.send(machine.pfns(page))
    _untouched(machine, judge, ["ST-DEV-3"], lanes, pages)
    for _ in range(3):
        machine.start()
        good_requests(machine)


@CHECKS.add("VU-DEV-3", "ST-DEV-1")
def a_disabled_ring_rests(machine: Machine, judge: Judge) -> None:
    """Disable a ring that ran, put a request on it, and enable it again.

    Only then may the request be taken, and it must be.
    """
    transport = socket_of(machine)
    machine.start()
    establish(machine)
    lane = machine.lanes[Queue.INFLATE]
    pages = Pages(machine, machine.pages[1][:1])
    lane.called()
    transport.front_end.enable_ring(lane.index, enabled=False)
    lane.send(machine.pfns(*pages.numbers))
    transport.settle()
    _untouched(machine, judge, ("VU-DEV-3", "ST-DEV-1"), [lane], pages)
    transport.front_end.enable_ring(lane.index)
    lane.wait()


@CHECKS.add("VU-DEV-5", "VU-DEV-6")
def rings_stop_and_go_on(machine: Machine, judge: Judge) -> None:
    """Stop all rings after some requests, and start them from the indices that are answered.

    Requests that were sent meanwhile must be served, each once; nothing else may come back.
    """
    transport = socket_of(machine)
    machine.start()
    page = machine.pages[1][0]
    lane = machine.lanes[Queue.INFLATE]
    for turn in range(3):
        for _ in range(turn + 1):
            machine.inflate(page)
        bases = _stop(machine, transport)
        expected = lane.ring.base
        judge.expect(
            bases[lane.index] == expected,
            "VU-DEV-5",
            f"stopped at index {bases[lane.index]}, and all before {expected} was served",
        )
        head = lane.send(machine.pfns(page))
        if not judge.expect(
            not lane.watch(machine.hush), "VU-DEV-5", "a ring that was stopped is served"
        ):
            return
        _go_on(machine, transport, bases)
        back = [used.head for used in (*lane.wait(), *lane.watch(machine.hush))]
        judge.expect(back == [head], "VU-DEV-6", f"{back} came back, and {head} was sent")


@CHECKS.add("VU-DEV-5", "VU-DEV-6", needs=["STATS_VQ"])
def a_held_buffer_is_held_again(machine: Machine, judge: Judge) -> None:
    """Stop all rings while the device has a buffer of statistics, and start them again.

    The index that is answered must be the buffer's own, and the buffer must be held again.
    """
    transport = socket_of(machine)
    machine.start()
    lane = machine.lanes[Queue.STATS]
    head = statistics(machine, lane)
    if lane.watch(machine.hush):  # the host has asked just now
        head = statistics(machine, lane)
    transport.settle()
    bases = _stop(machine, transport)
    expected = lane.ring.base
    judge.expect(
        bases[lane.index] == expected,
        "VU-DEV-5",
        f"the index is {bases[lane.index]}, as if the held buffer at {expected} were used",
    )
    _go_on(machine, transport, bases)
    if back := lane.watch(machine.hush):
        heads = [used.head for used in back]
        judge.expect(heads == [head], "VU-DEV-6", f"{heads} came back, and {head} was held")
        return
    statistics(machine, lane)
    heads = [used.head for used in lane.wait()]
    judge.expect(heads == [head], "VU-DEV-6", f"{heads} came back, and {head} was held")


def _stop(machine: Machine, transport: SocketTransport) -> dict[int, int]:
    return transport.stop([lane.index for lane in machine.lanes.values()])


def _go_on(machine: Machine, transport: SocketTransport, bases: dict[int, int]) -> None:
    """Start rings as QEMU does after a pause: all is said again."""
    transport.choose(machine.features)
    for lane in machine.lanes.values():
        transport.describe(lane.index, lane.ring, bases[lane.index])
    machine.run()


@CHECKS.add("VU-DEV-13")
def nothing_is_announced_too_soon(machine: Machine, judge: Judge) -> None:
    """Listen on the back-end's channel until the first ring is enabled."""
    transport = socket_of(machine)
    if not transport.agreed(ProtocolFeature.BACKEND_REQ):
        judge.unobservable("VU-DEV-13", "the device has no channel of its own")
        return
    machine.start(run=False)
    said = transport.heard(machine.hush)
    judge.expect(not said, "VU-DEV-13", f"{len(said)} bytes are said before a ring is enabled")


@CHECKS.add("ST-DEV-2")
def a_device_that_cannot_go_on_says_so(machine: Machine, judge: Judge) -> None:
    """Break a ring: its index goes far ahead. Then read the status, and reset the device.

    A device that serves no more must say DEVICE_NEEDS_RESET, announce that, and be good again
    after the reset. One that serves on needs nothing.
    """
    machine.start()
    lane = machine.lanes[Queue.INFLATE]
    ring = lane.ring
    if not isinstance(ring, DriverRing):
        raise Unobservable("only a split ring can be broken so")
    if machine.transport.is_legacy:
        raise Unobservable("the legacy interface has no DEVICE_NEEDS_RESET")
    machine.transport.status()  # without a status, nothing of it can be seen
    ring.jump(ring.size * 3)
    lane.kick()
    machine.transport.settle()
    if not machine.transport.status() & NEEDS_RESET:
        judge.violated("ST-DEV-2", "a broken ring is left alone, and the status says nothing of it")
        return
    with suppress(Unobservable):
        said = machine.transport.announces(machine.hush)
        judge.expect(said, "ST-DEV-2", "DEVICE_NEEDS_RESET is not announced")
    machine.start()
    good_requests(machine)
