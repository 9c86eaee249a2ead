"""What monitors send, checked before anything believes it. Pure.

QEMU's own words: `qapi/machine.json` (memory sizes, ``query-balloon``) and
`docs/interop/virtio-balloon-stats.rst`.
"""

import reprlib
from collections.abc import Mapping
from typing import Any

from aerostat.balloon.statistics import QEMU_KEYS
from aerostat.errors import PeerError
from aerostat.hypervisors.base import BlockReads

# No machine has more, and every size is exact as a float.
_LARGEST_SIZE = 1 << 53
_LARGEST_VALUE = (1 << 64) - 1
# Seconds: no clock of a host says more.
_LATEST = 1 << 53
# How QEMU says that the guest did not send a figure: -1, written without its sign.
_ABSENT = (_LARGEST_VALUE, -1)
# Sixteen exist. Bounds what a monitor can make us keep.
_MAX_STATISTICS = 256
_MAX_NAME = 80

_TAG_OF_KEY = {key: int(tag) for tag, key in QEMU_KEYS.items()}


def _describe(value: object) -> str:
    return reprlib.repr(value)  # short, however long or deep the value


def members(value: Any, what: str) -> dict[str, Any]:
    """Return `value` if it is a JSON object. Raises `PeerError`."""
    if not isinstance(value, dict):
        raise PeerError(f"{what} is not an object: {_describe(value)}")
    return value


def size(value: Any, what: str) -> int:
    """Return `value` if it is a size in bytes. Raises `PeerError`."""
    if type(value) is not int or not 0 <= value <= _LARGEST_SIZE:
        raise PeerError(f"{what} is not a size: {_describe(value)}")
    return value


def seconds(value: Any, what: str) -> float:
    """Return `value` if it is a time. Raises `PeerError`."""
    # JSON has integers that no float can hold, besides those that mean nothing.
    if type(value) not in (int, float) or not 0 <= value <= _LATEST:
        raise PeerError(f"{what} is not a time: {_describe(value)}")
    return float(value)


def statistics(raw: Any) -> dict[int, int]:
    """Return QEMU's ``stats`` by tag, without what is absent. Raises `PeerError`.

    A name that QEMU may add one day has no tag here, and is left out.
    """
    figures = _bounded(members(raw, "stats"))
    found = {}
    for key, value in figures.items():
        tag = _TAG_OF_KEY.get(key)
        if tag is not None and value not in _ABSENT:
            found[tag] = _figure(value, key)
    return found


def unknown_statistics(raw: Any) -> dict[int, int]:
    """Return the figures under tags that have no name, as our device sends them."""
    found = {}
    for key, value in _bounded(members(raw, "unknown stats")).items():
        if not (key.isascii() and key.isdecimal() and len(key) <= 5 and int(key) <= 0xFFFF):
            raise PeerError(f"not the tag of a statistic: {_describe(key)}")
        found[int(key)] = _figure(value, key)
    return found


def _bounded(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    if len(figures) > _MAX_STATISTICS:
        raise PeerError(f"{len(figures)} statistics are more than there can be")
    return figures


def _figure(value: Any, key: str) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST_VALUE:
        raise PeerError(f"{key} is not a statistic: {_describe(value)}")
    return value


def running(raw: Any) -> bool:
    """Return what ``query-status`` says of the machine. Raises `PeerError`."""
    return members(raw, "query-status").get("running") is True


def block_reads(raw: Any) -> tuple[BlockReads | None, int]:
    """Return what ``query-blockstats`` says has been read in all, and of how many disks.

    None where it says nothing that makes sense: nobody is stopped by that.
    """
    total_bytes = total_requests = count = 0
    for disk in raw if isinstance(raw, list) else ():
        counters = disk.get("stats") if isinstance(disk, dict) else None
        if not isinstance(counters, dict):
            continue
        numbers = counters.get("rd_bytes"), counters.get("rd_operations")
        if not all(type(number) is int and 0 <= number <= _LARGEST_VALUE for number in numbers):
            return None, 0
        total_bytes += counters["rd_bytes"]
        total_requests += counters["rd_operations"]
        count += 1
    return (BlockReads(total_bytes, total_requests) if count else None), count


def own_block_reads(raw: Any) -> BlockReads | None:
    """Return what our own device says has been read in all; None as above."""
    known = type(raw) is int and 0 <= raw <= _LARGEST_VALUE
    return BlockReads(raw) if known else None


def guest_name(raw: Any) -> str | None:
    """Return the name in a reply to ``query-name``, fit to be printed; None if it has none."""
    name = raw.get("name") if isinstance(raw, dict) else None
    if not isinstance(name, str):
        return None
    printable = "".join(letter for letter in name[:_MAX_NAME] if letter.isprintable())
    return printable.strip() or None


def names(raw: Any, what: str) -> set[str]:
    """Return the names in a list of ``{"name": ...}``. Raises `PeerError`."""
    if not isinstance(raw, list):
        raise PeerError(f"{what} is not a list: {_describe(raw)}")
    return {item["name"] for item in raw if isinstance(item, dict) and _has_name(item)}


def children(raw: Any, what: str) -> dict[str, str]:
    """Return the type of each name in a reply to ``qom-list``. Raises `PeerError`."""
    if not isinstance(raw, list):
        raise PeerError(f"{what} is not a list: {_describe(raw)}")
    return {
        item["name"]: item["type"]
        for item in raw
        if isinstance(item, dict) and _has_name(item) and isinstance(item.get("type"), str)
    }


def _has_name(item: dict[str, Any]) -> bool:
    return isinstance(item.get("name"), str)
