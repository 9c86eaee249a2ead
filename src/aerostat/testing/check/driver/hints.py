"""A driver's free page hints (virtio 1.2, 5.5.6.5): whole rounds, and rounds cut short."""

from aerostat.balloon.abi import Queue
from aerostat.balloon.hinting import Round
from aerostat.testing.check.checks import Judge, Violated
from aerostat.testing.check.driver.registry import CHECKS, SECONDS
from aerostat.testing.check.driver.stage import Subject
from aerostat.testing.check.driver.stand import Stand

_CUT_SHORT = 30
# A guest that is busy has less to hint at one moment than at another.
_ROUNDS = 3


@CHECKS.add(
    "DRV-HINT-1", "DRV-HINT-2", "DRV-HINT-3", "DRV-HINT-4", "DRV-HINT-6", "DRV-HINT-10",
    needs=["FREE_PAGE_HINT"], seconds=SECONDS,
)  # fmt: skip
def hints_in_rounds(subject: Subject, judge: Judge) -> None:
    """Ask for some rounds of hints, each ended by DONE when the driver has told all.

    Each must begin with the id and end with STOP. What was hinted in the first should be hinted
    again, or most of it: after DONE it is free.
    """
    stand = subject.at_work()
    hinted = [_whole_round(stand) for _ in range(_ROUNDS)]
    subject.judge_offences(judge)
    if not judge.expect(max(hinted) > 0, "DRV-HINT-4", f"no pages in {_ROUNDS} rounds"):
        judge.unobservable("DRV-HINT-10", "nothing was hinted")
        return
    first, *others = hinted
    words = f"hinted {first} bytes at first, then {' and '.join(map(str, others))}"
    judge.expect(2 * max(others) >= first, "DRV-HINT-10", words)


def _whole_round(stand: Stand) -> int:
    """Have a whole round; return how many bytes were hinted. Raises `Violated`."""
    hinting = stand.device.hinting
    hinting.start()
    stand.announce()
    if not stand.wait(lambda: hinting.round in (Round.RUNNING, Round.ENDED)):
        raise Violated("DRV-HINT-2", f"command id {hinting.id} was not answered")
    if not stand.wait(lambda: hinting.round is Round.ENDED):
        raise Violated("DRV-HINT-6", "the round was not ended with STOP")
    hinted = hinting.hinted.size
    _end(stand)
    return hinted


def _end(stand: Stand) -> None:
    stand.device.hinting.done()
    stand.announce()
    stand.rest(0.05)


@CHECKS.add("BAD-DRV-7", "DRV-HINT-3", needs=["FREE_PAGE_HINT"], seconds=SECONDS)
def bears_rounds_cut_short(subject: Subject, judge: Judge) -> None:
    """Begin dozens of rounds, and end, stop or replace each by the next at once.

    Afterwards a whole round must be possible, and the rest go on as before.
    """
    stand = subject.at_work()
    hinting = stand.device.hinting
    for number in range(_CUT_SHORT):
        hinting.start()
        stand.announce()
        stand.rest(0.002 * (number % 4))
        if number % 3 == 0:
            hinting.stop()
        elif number % 3 == 1:
            hinting.done()
        stand.announce()
        stand.rest(0.001)
    _end(stand)
    stand.rest(subject.options.hush)
    subject.judge_offences(judge)
    try:
        _whole_round(stand)
    except Violated as error:
        judge.violated("BAD-DRV-7", f"afterwards: {error}")
    judge.expect(stand.lives(), "BAD-DRV-7", "answers no more")


@CHECKS.add("DRV-HINT-5", needs=["FREE_PAGE_HINT"], seconds=SECONDS)
def stops_hinting_when_told(subject: Subject, judge: Judge) -> None:
    """Keep the first buffer of a round, and have the id become STOP; then return all.

    What was on its way may still come; after a moment, nothing more should.
    """
    stand = subject.at_work()
    stand.device.holding.add(Queue.HINT)
    hinting = stand.device.hinting
    hinting.start()
    stand.announce()
    stand.wait(lambda: bool(stand.device.held))
    hinting.stop()
    stand.announce()
    stand.rest(subject.options.hush / 2)
    stand.release(Queue.HINT)
    stand.rest(subject.options.hush / 2)
    before = stand.device.requests[Queue.HINT]
    stand.rest(subject.options.hush)
    more = stand.device.requests[Queue.HINT] - before
    judge.expect(not more, "DRV-HINT-5", f"{more} buffers long after STOP")
    _end(stand)
