"""A driver on packed rings (virtio 1.2, 2.8)."""

from aerostat.balloon.abi import Queue
from aerostat.testing.check.checks import Judge, Unobservable, Violated
from aerostat.testing.check.driver.registry import CHECKS, SECONDS
from aerostat.testing.check.driver.stage import Subject, some_pages
from aerostat.virtio.features import RING_EVENT_IDX, RING_PACKED, has

# Times that the balloon grows and shrinks: rings wrap, and their counters turn.
_TIMES = 30
# What a driver may say of notifications in its event structure, 2.8.14; the last with EVENT_IDX.
_ENABLE, _DISABLE, _ONE_DESCRIPTOR = 0, 1, 2


@CHECKS.add("PK-1", "PK-2", "PK-4", "PK-5", "PK-6", seconds=SECONDS)
def works_on_packed_rings(subject: Subject, judge: Judge) -> None:
    """Offer packed rings, and have the balloon grow and shrink until each ring has wrapped.

    Every list of descriptors, and what the driver says of notifications, is looked at.
    """
    stand = subject.fresh(also=["RING_PACKED"])
    taken = stand.device.negotiated
    if not has(taken, RING_PACKED):
        raise Unobservable("RING_PACKED is not taken")
    allowed = {_ENABLE, _DISABLE} | ({_ONE_DESCRIPTOR} if has(taken, RING_EVENT_IDX) else set())
    most = some_pages(stand, most=1200)
    for _ in range(_TIMES):
        for target in (most, 0):
            if not stand.settle(target):
                subject.judge_offences(judge)
                raise Violated("PK-1", f"{len(stand.device.balloon)} pages, not {target}")
        flags = stand.event_flags(Queue.INFLATE)
        judge.expect(flags in allowed, "PK-6", f"event flags of {flags:#x}")
    if stand.device.runs(Queue.STATS):
        judge.expect(stand.ask_statistics(), "PK-1", "statistics do not come")
    subject.judge_offences(judge)
