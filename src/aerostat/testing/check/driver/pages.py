"""A driver's pages: given, in the balloon, and taken back (virtio 1.2, 5.5.6.1)."""

from aerostat.balloon.abi import DEFLATE_ON_OOM, Queue
from aerostat.balloon.device import Request
from aerostat.testing.check.checks import Judge, Unobservable, Violated
from aerostat.testing.check.driver.contents import Contents, marked
from aerostat.testing.check.driver.registry import CHECKS, SECONDS
from aerostat.testing.check.driver.stage import Subject, some_pages
from aerostat.testing.check.driver.stand import Stand
from aerostat.virtio.features import has

# Targets in pages, one after the other: a request's worth, one less and one more, and back.
_TARGETS = (1, 255, 257, 2000, 1999, 300, 4097, 0)


@CHECKS.add(
    "DRV-OP-1", "DRV-OP-6", "DRV-OP-11", "DRV-OP-13", "DRV-OP-14", "LEG-OP-2", "CFG-2",
    "USE-DRV-2", seconds=SECONDS,
)  # fmt: skip
def follows_targets(subject: Subject, judge: Judge) -> None:
    """Set small targets one after the other, and keep our own count of the balloon.

    The balloon must come to each, the driver must say so, and each request must make sense.
    """
    stand = subject.at_work()
    most = some_pages(stand)
    for target in _TARGETS:
        _follow(subject, stand, min(target, most), judge)
    subject.judge_offences(judge)


def _follow(subject: Subject, stand: Stand, target: int, judge: Judge) -> None:
    if stand.settle(target):
        return
    subject.judge_offences(judge)  # which may be why
    device = stand.device
    count, told = len(device.balloon), device.config.actual
    if count < target:
        raise Violated("DRV-OP-1", f"gave {count} pages of {target}")
    if count > target:
        # It need not take them back; but then a balloon is of little use.
        raise Violated("USE-DRV-2", f"kept {count} pages where {target} are wanted")
    judge.violated("DRV-OP-11", f"says {told} with {count} pages in the balloon")


@CHECKS.add("DRV-OP-9", "DRV-OP-10", "BAD-DRV-1", seconds=SECONDS)
def leaves_pages_alone_while_it_gives_them(subject: Subject, judge: Judge) -> None:
    """Keep a request to give pages, write a mark into each, and have the target fall to 0.

    No mark may change, and no page of the request may be asked back. Then all goes on.
    """
    stand = subject.at_work()
    stand.settle(0)
    stand.device.holding.add(Queue.INFLATE)
    stand.demand(some_pages(stand))
    contents = marked(_withheld(stand, "no pages were given"))
    stand.demand(0)
    stand.rest(subject.options.hush)
    judge.expect(not (changed := contents.changed()), "DRV-OP-9", contents.told(changed))
    judge.expect(len(stand.device.held) == 1, "DRV-OP-10", "sent more while one was not returned")
    stand.release(Queue.INFLATE)
    judge.expect(stand.wait(lambda: stand.has_settled(0)), "BAD-DRV-1", "did not go on")
    subject.judge_offences(judge)


@CHECKS.add("DRV-OP-6", seconds=SECONDS)
def leaves_the_balloon_alone(subject: Subject, judge: Judge) -> None:
    """Watch the content of pages while they are in the balloon: nobody may use them untold.

    With MUST_TELL_HOST each gets a mark; without it they are read only.
    """
    stand = subject.at_work()
    target = some_pages(stand, share=0.4)
    if not stand.settle(target):
        raise Unobservable("the balloon did not come to be")
    contents = Contents.of_balloon(stand)
    stand.rest(2 * subject.options.hush)
    changed = contents.changed(besides=stand.device.taken_back)
    judge.expect(not changed, "DRV-OP-6", contents.told(changed))
    stand.settle(0)
    subject.judge_offences(judge)


@CHECKS.add("DRV-OP-7", "DRV-OP-14", "BAD-DRV-1", needs=["MUST_TELL_HOST"], seconds=SECONDS)
def leaves_pages_alone_until_it_has_them_back(subject: Subject, judge: Judge) -> None:
    """Keep a request to take pages back, and write a mark into each of its pages.

    No mark may change, and no page may be given again, until the request is returned.
    """
    stand = subject.at_work()
    target = some_pages(stand)
    if not stand.settle(target):
        raise Unobservable("the balloon did not come to be")
    stand.device.holding.add(Queue.DEFLATE)
    stand.demand(0)
    contents = marked(_withheld(stand, "no pages were taken back"))
    stand.rest(subject.options.hush)
    judge.expect(not (changed := contents.changed()), "DRV-OP-7", contents.told(changed))
    stand.demand(target)  # what is on its way back must not be given again
    stand.rest(subject.options.hush / 2)
    stand.demand(0)
    stand.release(Queue.DEFLATE)
    judge.expect(stand.wait(lambda: stand.has_settled(0)), "BAD-DRV-1", "did not go on")
    subject.judge_offences(judge)


def _withheld(stand: Stand, otherwise: str) -> Request:
    if not stand.wait(lambda: bool(stand.device.held)):
        raise Unobservable(otherwise)
    return stand.device.held[0]


@CHECKS.add("DRV-OP-4", seconds=SECONDS)
def keeps_the_balloon_without_deflate_on_oom(subject: Subject, judge: Judge) -> None:
    """Leave DEFLATE_ON_OOM out of the offer, and want a third of the guest's memory.

    Whatever the guest lacks then, it must take no page back.
    """
    stand = subject.fresh(without=["DEFLATE_ON_OOM"])
    target = some_pages(stand, share=1 / 3, most=1 << 20)
    stand.demand(target)
    stand.wait(lambda: stand.has_settled(target), subject.options.patience / 2)
    stand.rest(subject.options.hush)
    if has(stand.device.negotiated, DEFLATE_ON_OOM):
        raise Unobservable("it took DEFLATE_ON_OOM all the same")
    subject.judge_offences(judge)


@CHECKS.add("DRV-OP-1", "DRV-OP-11", "USE-DRV-2", seconds=SECONDS)
def follows_targets_without_must_tell_host(subject: Subject, judge: Judge) -> None:
    """Leave MUST_TELL_HOST out of the offer; the balloon must grow and shrink as before."""
    stand = subject.fresh(without=["MUST_TELL_HOST"])
    for target in (some_pages(stand, most=2000), 0):
        _follow(subject, stand, target, judge)


@CHECKS.add("LEG-OP-1", seconds=SECONDS)
def ignores_the_used_length(subject: Subject, judge: Judge) -> None:
    """Return all buffers as if something had been written to them; all must go on.

    Old devices told the whole length; here it is 1, then 2^32 - 1.
    """
    subject.lawless = True  # no device of today may do that
    stand = subject.at_work()
    for written in (1, 0xFFFFFFFF):
        stand.device.written = written
        kept = stand.settle(some_pages(stand, most=1000)) and stand.settle(0) and stand.lives()
        judge.expect(kept, "LEG-OP-1", f"goes on no more after a used length of {written:#x}")


@CHECKS.add("DRV-FEAT-2", needs=["PAGE_POISON", "MUST_TELL_HOST"], seconds=SECONDS)
def poisons_what_it_takes_back(subject: Subject, judge: Judge) -> None:
    """Write a mark into each page of the balloon; once it is taken back, that must be gone."""
    stand = subject.at_work()
    if not stand.settle(some_pages(stand)):
        raise Unobservable("the balloon did not come to be")
    contents = Contents.of_balloon(stand)
    stand.settle(0)
    stand.rest(subject.options.hush)
    left = len(contents) - contents.changed(besides=set())
    words = f"left {left} of {len(contents)} pages as the device had them"
    judge.expect(not left, "DRV-FEAT-2", words)
