"""What a balloon driver negotiates: features, and the numbers of its queues.

Pure; runs inside guests. Implements the driver's side of virtio 1.2, 2.2 and 5.5.2 to 5.5.3.1.
"""

from __future__ import annotations

from typing import Literal

from aerostat.balloon.abi import (
    DEFLATE_ON_OOM,
    FREE_PAGE_HINT,
    MUST_TELL_HOST,
    PAGE_POISON,
    PAGE_REPORTING,
    QUEUE_FEATURES,
    STATS_VQ,
    Queue,
)
from aerostat.errors import UsageError
from aerostat.virtio.features import RING_INDIRECT_DESC, RING_PACKED, VERSION_1, bit, has

#: What a driver asks for that reports no free pages and poisons none.
DEFAULT_FEATURES = (
    bit(MUST_TELL_HOST) | bit(STATS_VQ) | bit(DEFLATE_ON_OOM) | bit(VERSION_1) | bit(RING_PACKED)
)

#: What there was in 2009.
FEATURES_OF_2009 = bit(MUST_TELL_HOST) | bit(STATS_VQ)

#: All that the driver knows how to use.
KNOWN_FEATURES = (
    DEFAULT_FEATURES
    | bit(FREE_PAGE_HINT)
    | bit(PAGE_POISON)
    | bit(PAGE_REPORTING)
    | bit(RING_INDIRECT_DESC)
)

#: How queues are numbered: densely over the features that were offered, as QEMU, Firecracker,
#: crosvm and Cloud Hypervisor do; densely over the negotiated ones, as Linux does; or as in the
#: specification's table (5.5.2), with holes.
NumberingRule = Literal["offered", "negotiated", "fixed"]


def choose_features(
    offered: int, wanted: int = DEFAULT_FEATURES, *, relies_on_zeroed: bool = False
) -> int:
    """Return the features to accept of those `offered`.

    Without VERSION_1 among `wanted`, or `offered`, the driver is a legacy one. Ask for PAGE_POISON
    only if deflated pages get the poison value before they are used (5.5.3.1).
    `relies_on_zeroed` says that the guest counts on the content of its free pages, as Linux with
    ``init_on_free``: then nothing may be reported unless the device knows that content. Raises
    `UsageError` for `wanted` features that this driver does not know.
    """
    if wanted & ~KNOWN_FEATURES:
        raise UsageError(f"not known to the driver: features {wanted & ~KNOWN_FEATURES:#x}")
    accepted = offered & wanted
    if not has(accepted, VERSION_1):  # no legacy driver knows of packed rings
        accepted &= ~bit(RING_PACKED)
    if relies_on_zeroed and not has(accepted, PAGE_POISON):
        accepted &= ~bit(PAGE_REPORTING)
    return accepted


def queues_of(features: int) -> list[Queue]:
    """Return the queues that exist with `features`, in the order of the specification's table."""
    return [q for q in Queue if q not in QUEUE_FEATURES or has(features, QUEUE_FEATURES[q])]


def queue_numbers(offered: int, accepted: int, rule: NumberingRule = "offered") -> dict[Queue, int]:
    """Return the number of each queue of a driver that `accepted` these of the `offered` features.

    The rules differ only where a feature with a queue was declined, and a later one accepted.
    """
    numbered = {
        "offered": queues_of(offered),
        "negotiated": queues_of(accepted),
        "fixed": list(Queue),
    }
    numbers = {queue: number for number, queue in enumerate(numbered[rule])}
    return {queue: numbers[queue] for queue in queues_of(accepted)}
