"""What libvirt says of a domain, checked, in the contract's words and units. Pure.

libvirt counts memory in KiB and has names of its own, some of them misleading: its ``available``
is all that the guest sees, ``usable`` is the kernel's MemAvailable, ``unused`` is MemFree.
"""

import json
from typing import Any, NamedTuple

from aerostat.balloon.statistics import Tag
from aerostat.errors import PeerError
from aerostat.hypervisors import values
from aerostat.hypervisors.base import BlockReads
from aerostat.units import KIB

RUNNING = 1
PAUSED = 3
SHUT_OFF = 5
"""VIR_DOMAIN_RUNNING, _PAUSED, _SHUTOFF."""

FROM_MONITOR = frozenset(
    {
        Tag.OOM_KILLS,
        Tag.ALLOC_STALLS,
        Tag.ASYNC_SCANS,
        Tag.DIRECT_SCANS,
        Tag.ASYNC_RECLAIMS,
        Tag.DIRECT_RECLAIMS,
    }
)
"""Statistics that libvirt does not show, and QEMU's own monitor does."""

_SIZES = {
    "balloon.swap_in": Tag.SWAP_IN,
    "balloon.swap_out": Tag.SWAP_OUT,
    "balloon.unused": Tag.FREE_MEMORY,
    "balloon.available": Tag.TOTAL_MEMORY,
    "balloon.usable": Tag.AVAILABLE_MEMORY,
    "balloon.disk_caches": Tag.DISK_CACHES,
}
_COUNTS = {
    "balloon.major_fault": Tag.MAJOR_FAULTS,
    "balloon.minor_fault": Tag.MINOR_FAULTS,
    "balloon.hugetlb_pgalloc": Tag.HUGETLB_ALLOCATIONS,
    "balloon.hugetlb_pgfail": Tag.HUGETLB_FAILURES,
}
_SIZES_ONLY = {"balloon.current", "balloon.maximum"}
# How QEMU says that a figure is absent: as it is, and as KiB, should libvirt let it pass.
_NO_COUNT = (1 << 64) - 1
_NO_SIZE_KIB = (_NO_COUNT, _NO_COUNT // KIB)
_LARGEST_KIB = (1 << 64) // KIB


class Figures(NamedTuple):
    """The guest's own figures: one answer of its balloon driver.

    `last_update` is the host's wall clock in whole seconds, 0 for never.
    """

    last_update: int
    statistics: dict[int, int]


class Record(NamedTuple):
    """What the bulk call says of one domain. Sizes in bytes."""

    state: int | None
    max_size: int
    guest_size: int
    asked: bool
    """Whether its monitor was asked; not, if another call had hold of the domain."""
    figures: Figures | None
    """None where there is no balloon, or it was not asked."""
    held: int | None
    block_reads: BlockReads | None


def record(raw: Any) -> Record:
    """Return what one domain's part of the bulk call says. Raises `PeerError`."""
    found = values.members(raw, "domain statistics")
    state = found.get("state.state")
    max_size = _size(found.get("balloon.maximum"), "balloon.maximum")
    last_update = found.get("balloon.last-update")
    resident = found.get("balloon.rss")
    balloon = {key for key in found if key.startswith("balloon.")}
    return Record(
        state=state if type(state) is int else None,
        max_size=max_size,
        guest_size=min(_size(found.get("balloon.current"), "balloon.current"), max_size),
        asked=not balloon <= _SIZES_ONLY,
        figures=None if last_update is None else _figures(last_update, found),
        held=None if resident is None else _size(resident, "balloon.rss"),
        block_reads=_block_reads(found.get("reads")),
    )


def _size(raw: Any, what: str) -> int:
    size_kib = values.size(raw, what)
    return values.size(size_kib * KIB, what)


def _figures(last_update: Any, found: dict[str, Any]) -> Figures:
    statistics: dict[int, int] = {}
    for key, tag in _SIZES.items():
        value = found.get(key)
        if value is not None and value not in _NO_SIZE_KIB:
            statistics[int(tag)] = _count(value, key, _LARGEST_KIB) * KIB
    for key, tag in _COUNTS.items():
        value = found.get(key)
        if value is not None and value != _NO_COUNT:
            statistics[int(tag)] = _count(value, key, _NO_COUNT)
    return Figures(values.size(last_update, "balloon.last-update"), statistics)


def _count(raw: Any, what: str, below: int) -> int:
    if type(raw) is not int or not 0 <= raw < below:
        raise PeerError(f"{what} is not a statistic")
    return raw


def _block_reads(raw: Any) -> BlockReads | None:
    match raw:
        case [int(read), int(requests)] if read >= 0 and requests >= 0:
            return BlockReads(read, requests)
        case None:
            return None
    raise PeerError("what its disks have read is not a pair of counters")


def returned(raw: Any, who: str) -> Any:
    """Return what is in an answer of QEMU's monitor or of an agent. Raises `PeerError`."""
    return values.members(_parse(raw), who).get("return")


def monitor_figures(raw: Any) -> Figures:
    """Return the figures in QEMU's answer to ``qom-get guest-stats``. Raises `PeerError`."""
    stats = values.members(returned(raw, "the monitor's answer"), "guest-stats")
    last_update = values.size(stats.get("last-update"), "last-update")
    return Figures(last_update, values.statistics(stats.get("stats")))


def _parse(raw: Any) -> Any:
    if not isinstance(raw, str):
        raise PeerError("the answer is not text")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise PeerError("the answer is not JSON") from None


def domains(raw: Any) -> dict[str, tuple[str, int]]:
    """Return name and number of each active domain by UUID. Raises `PeerError`."""
    if not isinstance(raw, list):
        raise PeerError("the list of domains is none")
    found = {}
    for item in raw:
        match item:
            case [str(uuid), str(name), int(number)]:
                found[uuid] = (name, number)
            case _:
                raise PeerError("the list of domains has something else in it")
    return found
