"""A driver's free page reports (virtio 1.2, 5.5.6.7) and page poison (5.5.6.6)."""

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.testing.check.checks import Judge, Unobservable
from aerostat.testing.check.driver.contents import marked
from aerostat.testing.check.driver.registry import CHECKS, SECONDS
from aerostat.testing.check.driver.stage import Subject


@CHECKS.add("DRV-REP-3", "DRV-REP-5", needs=["PAGE_REPORTING"], seconds=SECONDS)
def leaves_pages_alone_while_it_reports_them(subject: Subject, judge: Judge) -> None:
    """Keep the first report of a guest, and write a mark into each of its pages.

    No mark may change meanwhile. Most of what is reported should be in more than single pages.
    """
    stand = subject.fresh(holding=[Queue.REPORTING])
    if not stand.wait(lambda: bool(stand.device.held)):
        raise Unobservable(f"nothing was reported within {subject.options.patience:g} s")
    contents = marked(stand.device.held[0])
    stand.rest(subject.options.hush)
    judge.expect(not (changed := contents.changed()), "DRV-REP-3", contents.told(changed))
    lengths = [length for _, length in stand.device.reported]
    single = sum(length for length in lengths if length <= PAGE_SIZE)
    small = f"{single} of {sum(lengths)} bytes reported in single pages"
    judge.expect(2 * single <= sum(lengths), "DRV-REP-5", small)
    stand.release(Queue.REPORTING)


@CHECKS.add("DRV-REP-2", needs=["PAGE_REPORTING", "PAGE_POISON"], seconds=SECONDS)
def poisons_what_it_reports(subject: Subject, judge: Judge) -> None:
    """Read what a guest reports: it must hold the value that it told."""
    stand = subject.at_work()
    if not stand.wait(lambda: bool(stand.device.reported)):
        raise Unobservable(f"nothing was reported within {subject.options.patience:g} s")
    subject.judge_offences(judge)


@CHECKS.add("DRV-POISON-2", "DRV-POISON-3", needs=["PAGE_POISON"], seconds=SECONDS)
def tells_its_poison_once(subject: Subject, judge: Judge) -> None:
    """Look when poison_val is written: before the first request, and never while there are some."""
    stand = subject.at_work()
    stand.settle(1000)
    stand.settle(0)
    subject.judge_offences(judge)
