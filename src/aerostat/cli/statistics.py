"""What ``stats`` prints: the shape of ``virsh dommemstat``, and all else that is known. Pure.

``virsh`` prints sizes in KiB and leaves out what it does not know; so does this. Its ``available``
is the guest's total memory, its ``usable`` what is available, and its ``actual`` the size.
"""

from collections.abc import Iterator
from typing import Any, Literal

from aerostat.balloon.statistics import NAMES, Tag
from aerostat.daemon.names import clean_name
from aerostat.daemon.snapshot import GuestRow
from aerostat.units import KIB, format_size

Unit = Literal["kib", "bytes", "human"]

# In virsh's order. A tag, or an attribute of the row, or `last_update`.
_LIKE_VIRSH: tuple[tuple[str, Tag | str], ...] = (
    ("actual", "guest_size"),
    ("swap_in", Tag.SWAP_IN),
    ("swap_out", Tag.SWAP_OUT),
    ("major_fault", Tag.MAJOR_FAULTS),
    ("minor_fault", Tag.MINOR_FAULTS),
    ("unused", Tag.FREE_MEMORY),
    ("available", Tag.TOTAL_MEMORY),
    ("usable", Tag.AVAILABLE_MEMORY),
    ("last_update", "last_update"),
    ("disk_caches", Tag.DISK_CACHES),
    ("hugetlb_pgalloc", Tag.HUGETLB_ALLOCATIONS),
    ("hugetlb_pgfail", Tag.HUGETLB_FAILURES),
    ("rss", "held"),
)
_SINCE_6_12 = (
    *(Tag.OOM_KILLS, Tag.ALLOC_STALLS, Tag.ASYNC_SCANS, Tag.DIRECT_SCANS),
    *(Tag.ASYNC_RECLAIMS, Tag.DIRECT_RECLAIMS),
)
_BYTE_TAGS = {
    *(Tag.SWAP_IN, Tag.SWAP_OUT, Tag.FREE_MEMORY, Tag.TOTAL_MEMORY, Tag.AVAILABLE_MEMORY),
    *(Tag.DISK_CACHES, Tag.ASYNC_SCANS, Tag.DIRECT_SCANS, Tag.ASYNC_RECLAIMS, Tag.DIRECT_RECLAIMS),
}
_SIZES = (
    *("max_size", "target_size", "demand", "reserve", "entitlement", "guarantee", "ceiling"),
    *("pinned", "speed_up", "speed_down", "block_read_rate", "swap_in_rate", "swap_out_rate"),
)
_FIGURES = ("major_fault_rate", "pressure", "confidence", "sample_age", "condition_since")
_WORDS = ("condition", "way", "source", "connector", "uuid", "key")


def stats_lines(row: GuestRow, wall: float, unit: Unit = "kib") -> Iterator[str]:
    """Yield ``key value`` lines, virsh's first. `wall` is now, seconds since the epoch."""
    for name, of in _LIKE_VIRSH:
        if of == "last_update":
            yield from _line(name, None if row.sample_age is None else int(wall - row.sample_age))
        elif isinstance(of, Tag):
            yield from _statistic(row, name, of, unit)
        else:
            yield from _size(name, getattr(row, of), unit)
    for tag in _SINCE_6_12:
        yield from _statistic(row, NAMES[tag], tag, unit)
    known = set(NAMES.values())
    for name, value in row.statistics.items():
        if name not in known:
            yield from _line(clean_name(name), value)
    for name in _SIZES:
        yield from _size(name, getattr(row, name), unit)
    for name in _FIGURES:
        value = getattr(row, name)
        yield from _line(name, None if value is None else f"{value:.3f}")
    yield from _line("held_by_operator", "yes" if row.held_by_operator else "no")
    for name in _WORDS:
        word = getattr(row, name)
        yield from _line(name, None if word is None else clean_name(word, 512))


def _statistic(row: GuestRow, name: str, tag: Tag, unit: Unit) -> Iterator[str]:
    value = row.statistics.get(NAMES[tag])
    return _size(name, value, unit) if tag in _BYTE_TAGS else _line(name, value)


def _size(name: str, size: float | None, unit: Unit) -> Iterator[str]:
    if size is None:
        return iter(())
    if unit == "human":
        return _line(name, format_size(size))
    return _line(name, int(size) if unit == "bytes" else int(size) // KIB)


def _line(name: str, value: Any) -> Iterator[str]:
    if value is not None:
        yield f"{name} {value}"
