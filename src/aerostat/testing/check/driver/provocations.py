"""What a driver should live through: what no device does, what few do, and what some do badly."""

import functools
import inspect

from aerostat.balloon.abi import Queue
from aerostat.testing.check.checks import Check, Judge, Unobservable
from aerostat.testing.check.driver.registry import CHECKS, SECONDS
from aerostat.testing.check.driver.stage import Options, Subject, some_pages
from aerostat.testing.check.driver.stand import Stand

_MANY = 200
_ABSURD_RESTS = 5
_MOST_PAGES = 0xFFFFFFFF
_PAGES_OF_A_GIB = 1 << 18


@CHECKS.add("VQ-DRV-9", seconds=SECONDS)
def bears_notifications_for_nothing(subject: Subject, judge: Judge) -> None:
    """Notify the driver hundreds of times of queues on which nothing happened.

    It must do nothing for it, and go on.
    """
    stand = subject.at_work()
    before = _deeds(stand)
    for _ in range(_MANY):
        stand.interrupt(*Queue)
        stand.rest(0.0)
    stand.rest(subject.options.hush / 2)
    judge.expect(_deeds(stand) == before, "VQ-DRV-9", "sent something that was not asked for")
    judge.expect(stand.lives(), "VQ-DRV-9", "answers no more")


def _deeds(stand: Stand) -> list[int]:
    return [stand.device.requests[queue] for queue in (Queue.INFLATE, Queue.DEFLATE, Queue.STATS)]


@CHECKS.add("BAD-DRV-3", seconds=SECONDS)
def bears_announcements_of_nothing(subject: Subject, judge: Judge) -> None:
    """Announce hundreds of times that the configuration has changed, where nothing did.

    The balloon must stay as it is, and the driver go on.
    """
    stand = subject.at_work()
    target = some_pages(stand, most=1000)
    stand.settle(target)
    for _ in range(_MANY):
        stand.announce()
        stand.rest(0.001)
    stand.rest(subject.options.hush / 2)
    told = f"{stand.device.config.actual} pages, not {target}"
    judge.expect(stand.has_settled(target), "BAD-DRV-3", told)
    judge.expect(stand.lives(), "BAD-DRV-3", "answers no more")


@CHECKS.add("BAD-DRV-3", seconds=SECONDS)
def follows_rapid_changes(subject: Subject, judge: Judge) -> None:
    """Change the target hundreds of times, faster than it can be followed, and then no more.

    The balloon must come to the last one.
    """
    stand = subject.at_work()
    most = some_pages(stand)
    for number in range(_MANY):
        stand.demand(number * 7919 % most)
        stand.rest(0.002)
    last = most // 2
    told = f"{stand.device.config.actual} pages in the end, not {last}"
    judge.expect(stand.settle(last), "BAD-DRV-3", told)
    judge.expect(stand.settle(0), "BAD-DRV-3", "the balloon did not shrink again")


@CHECKS.add("BAD-DRV-2", seconds=SECONDS)
def bears_absurd_targets(subject: Subject, judge: Judge) -> None:
    """Want more than there is: a GiB more than the guest has, then 2^32 - 1 pages, then 0.

    The guest may give what it can. It must live, and take all back in the end.
    """
    stand = subject.fresh()
    total = some_pages(stand, share=1.0, most=_MOST_PAGES)
    for target in (total + _PAGES_OF_A_GIB, _MOST_PAGES):
        stand.demand(min(target, _MOST_PAGES))
        _give_all(stand, subject.options)
        if not judge.expect(stand.alive, "BAD-DRV-2", stand.command.how_it_ended()):
            return
    judge.expect(stand.settle(0), "BAD-DRV-2", "the balloon did not become empty again")
    judge.expect(stand.lives(), "BAD-DRV-2", "answers no more")
    subject.judge_offences(judge)


@CHECKS.add("BAD-DRV-1", seconds=SECONDS)
def bears_a_silent_device(subject: Subject, judge: Judge) -> None:
    """Return no request for a while from the beginning. Then return all: all must go on."""
    stand = subject.fresh(holding=[one for one in Queue if one is not Queue.STATS])
    target = some_pages(stand, most=1000)
    stand.demand(target)
    stand.rest(4 * subject.options.hush)
    for queue in tuple(stand.device.holding):
        stand.release(queue)
    gone_on = stand.wait(lambda: stand.has_settled(target))
    judge.expect(gone_on, "BAD-DRV-1", f"has {stand.device.config.actual} pages, not {target}")


def _give_all(stand: Stand, options: Options) -> None:
    """Wait while the guest gives pages, but not for long: it may have more than we have time."""
    for _ in range(_ABSURD_RESTS):
        before = len(stand.device.balloon)
        stand.rest(options.hush)
        if len(stand.device.balloon) == before or not stand.alive:
            return


_BAD_ELEMENTS = {
    "a head beyond the ring": (0xFFFF, 0),
    "the largest head": (0xFFFFFFFF, 0xFFFFFFFF),
    "a head that is not out": (0, 0),
}


def _survives_wrong_used_elements(subject: Subject, judge: Judge, element: tuple[int, int]) -> None:
    """Put an element that names no buffer of the driver's into the used ring, twice.

    The driver may give the queue up. The guest must live, and its other queues go on.
    """
    subject.lawless = True
    stand = subject.at_work()
    for _ in range(2):
        stand.device.use(Queue.INFLATE, *element)
        stand.notify()
        stand.rest(subject.options.hush / 4)
    _expect_life(stand, judge, "BAD-DRV-4")


for _name, _element in _BAD_ELEMENTS.items():
    CHECKS.put(
        Check(
            "survives-wrong-used-elements",
            ("BAD-DRV-4",),
            " ".join((inspect.getdoc(_survives_wrong_used_elements) or "").split()),
            functools.partial(_survives_wrong_used_elements, element=_element),
            seconds=SECONDS,
            parameter=_name,
        )
    )


@CHECKS.add("BAD-DRV-5", seconds=SECONDS)
def survives_a_used_index_that_jumps(subject: Subject, judge: Judge) -> None:
    """Have the used index of the inflate queue run ahead by more than the ring holds.

    The driver may give the queue up. The guest must live, and its other queues go on.
    """
    subject.lawless = True
    stand = subject.at_work()
    for _ in range(stand.queue_size(Queue.INFLATE) + 1):
        stand.device.use(Queue.INFLATE, 0)
    stand.notify()
    stand.rest(subject.options.hush / 2)
    _expect_life(stand, judge, "BAD-DRV-5")


def _expect_life(stand: Stand, judge: Judge, id_: str) -> None:
    if not judge.expect(stand.alive, id_, stand.command.how_it_ended()):
        return
    if stand.connected and stand.device.runs(Queue.STATS):
        # One that has hung up gave the device up as a whole, which is its right.
        judge.expect(stand.ask_statistics(), id_, "statistics come no more")


@CHECKS.add("BAD-DRV-6", seconds=SECONDS)
def survives_the_loss_of_its_device(subject: Subject, judge: Judge) -> None:
    """Hang up while pages are being given. The guest must live.

    If it comes back, it must work with the device that it finds.
    """
    subject.lost = True
    stand = subject.fresh(holding=[Queue.INFLATE])
    stand.demand(some_pages(stand))
    if not stand.wait(lambda: bool(stand.device.held)):
        raise Unobservable("no pages were given")
    stand.device.holding.clear()
    stand.hang_up()
    came_back = stand.wait(lambda: stand.connected, 4 * subject.options.hush)
    judge.expect(stand.alive, "BAD-DRV-6", stand.command.how_it_ended())
    if came_back:
        judge.expect(stand.meet() and stand.lives(), "BAD-DRV-6", "came back and does not work")
