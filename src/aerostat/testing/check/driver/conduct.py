"""What a driver did from first to last, in all checks: judged when they are over."""

from aerostat.balloon.abi import Queue
from aerostat.testing.check.checks import Judge
from aerostat.testing.check.driver.registry import CHECKS, SECONDS
from aerostat.testing.check.driver.stage import Noted, Subject, some_pages
from aerostat.testing.check.driver.stand import Stand
from aerostat.testing.check.features import FEATURES
from aerostat.testing.conformance.statements import group_of
from aerostat.virtio.features import RING_EVENT_IDX, RING_PACKED, has

# What the device itself, and its rings, take note of.
_NOTED = (
    "DRV-OP-4", "DRV-OP-7", "DRV-OP-10", "DRV-OP-13", "DRV-OP-14", "LEG-OP-2", "CFG-2",
    "DRV-STATS-1", "DRV-STATS-3", "DRV-STATS-4", "DRV-STATS-5", "DRV-STATS-8",
    "DRV-HINT-1", "DRV-HINT-2", "DRV-HINT-3", "DRV-HINT-6", "DRV-REP-2",
    "DRV-POISON-2", "DRV-POISON-3",
    "VQ-DRV-2", "VQ-DRV-3", "VQ-DRV-4", "VQ-DRV-5", "VQ-DRV-6", "VQ-DRV-10",
)  # fmt: skip

_REQUESTED = (Queue.INFLATE, Queue.DEFLATE)


@CHECKS.add(*_NOTED, "VQ-DRV-7", "VQ-DRV-8", seconds=SECONDS)
def keeps_the_rules_throughout(subject: Subject, judge: Judge) -> None:
    """Look at each buffer and each write of the driver, from the first check to the last.

    What it did wrong in a check of something else is told here, and in which check that was.
    """
    stand = subject.at_work()
    for target in (some_pages(stand), 100, 0):
        stand.settle(target)
        _look_at_flags(stand, judge)
    for _ in range(5):
        if stand.device.runs(Queue.STATS):
            stand.ask_statistics()
    own = [Noted("", offence) for offence in subject.offences_of(stand)]
    for check, offence in (*subject.stage.noted, *own):
        where = f" (in {check})" if check else ""
        if offence.id in judge.ids:
            judge.violated(offence.id, offence.words + where)
    untold = ", ".join(queue.name for queue in sorted(subject.stage.untold | stand.untold))
    judge.expect(not untold, "VQ-DRV-8", f"made buffers available untold: {untold}")
    _leave_out(subject, judge)


def _look_at_flags(stand: Stand, judge: Judge) -> None:
    if has(stand.device.negotiated, RING_PACKED):
        judge.unobservable("VQ-DRV-7", "its rings are packed")
        return
    allowed = {0} if has(stand.device.negotiated, RING_EVENT_IDX) else {0, 1}
    for queue in _REQUESTED:
        flags = stand.avail_flags(queue)
        judge.expect(flags in allowed, "VQ-DRV-7", f"{flags:#x} on the {queue.name} queue")


def _leave_out(subject: Subject, judge: Judge) -> None:
    """Say of what there was nothing to see that it was not seen."""
    taken = subject.stage.taken
    for id_ in _NOTED:
        needed = group_of(id_).needs
        if needed and not has(taken, FEATURES[needed]):
            judge.unobservable(id_, f"{needed} is not taken")
    if not has(taken, FEATURES["MUST_TELL_HOST"]):
        judge.unobservable("DRV-OP-7", "MUST_TELL_HOST is not taken")
