"""A driver's memory statistics (virtio 1.2, 5.5.6.3)."""

from aerostat.balloon.abi import Queue
from aerostat.balloon.statistics import Tag
from aerostat.testing.check.checks import Judge, Violated
from aerostat.testing.check.driver.registry import CHECKS, SECONDS
from aerostat.testing.check.driver.stage import Subject, some_pages
from aerostat.testing.check.driver.stand import Stand

_TIMES = 20

# What changes when a guest gives pages, in one way or another.
_MOVING = (Tag.FREE_MEMORY, Tag.TOTAL_MEMORY, Tag.AVAILABLE_MEMORY)


@CHECKS.add("DRV-STATS-2", "DRV-STATS-5", needs=["STATS_VQ"], seconds=SECONDS)
def sends_the_first_buffer(subject: Subject, judge: Judge) -> None:
    """Look at the buffer that a guest that starts must send by itself."""
    stand = subject.at_work()
    judge.expect(stand.device.statistics_held, "DRV-STATS-2", "no buffer came")
    subject.judge_offences(judge)


@CHECKS.add(
    "DRV-STATS-3", "DRV-STATS-4", "DRV-STATS-5", "DRV-STATS-8",
    needs=["STATS_VQ"], seconds=SECONDS,
)  # fmt: skip
def answers_each_time(subject: Subject, judge: Judge) -> None:
    """Return the buffer twenty times: each time another must come, with the same figures.

    Then let the balloon grow: what is said of free memory must not be what it was.
    """
    stand = subject.at_work()
    for number in range(1, _TIMES + 1):
        if not stand.ask_statistics():
            raise Violated("DRV-STATS-3", f"no answer to request {number}")
    before = _moving(stand)
    stand.settle(some_pages(stand))
    stand.ask_statistics()
    after = _moving(stand)
    if before or after:
        judge.expect(before != after, "DRV-STATS-4", f"{after} before and after giving pages")
    subject.judge_offences(judge)


def _moving(stand: Stand) -> dict[str, int]:
    figures = stand.device.latest_statistics
    return {tag.name.lower(): figures[tag] for tag in _MOVING if tag in figures}


@CHECKS.add("DRV-STATS-1", "VQ-DRV-10", needs=["STATS_VQ"], seconds=SECONDS)
def waits_to_be_asked(subject: Subject, judge: Judge) -> None:
    """Keep the statistics buffer for a while, in which the balloon grows and shrinks.

    No other buffer may come meanwhile, and the one that is kept must stay as it is.
    """
    stand = subject.at_work()
    stand.wait(lambda: stand.device.statistics_held)
    stand.settle(some_pages(stand))
    stand.rest(subject.options.hush)
    stand.settle(0)
    stand.ask_statistics()
    subject.judge_offences(judge)


@CHECKS.add("USE-DRV-1", needs=["STATS_VQ"], seconds=SECONDS)
def answers_while_it_waits(subject: Subject, judge: Judge) -> None:
    """Keep a request to give pages, and ask for statistics meanwhile; they must come."""
    stand = subject.at_work()
    stand.device.holding.add(Queue.INFLATE)
    stand.demand(some_pages(stand))
    stand.wait(lambda: bool(stand.device.held))
    judge.expect(stand.ask_statistics(), "USE-DRV-1", "no answer while pages are being given")
