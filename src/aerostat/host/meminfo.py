"""The host's memory, from `/proc/meminfo` (proc(5)). Reads that file."""

from pathlib import Path
from typing import NamedTuple

from aerostat.errors import MissingError
from aerostat.host.proc import parse_sizes, read_required

MEMINFO = Path("/proc/meminfo")

_NAMES = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree", "Hugetlb")


class HostMemory(NamedTuple):
    """What the host has, in bytes."""

    total: int
    available: int
    """What could be given to processes without swapping (`MemAvailable`)."""
    swap_total: int = 0
    swap_free: int = 0
    huge_pages: int = 0
    """Set aside for huge pages of all sizes, in use or not; nothing else can have it."""


def parse_meminfo(text: str) -> HostMemory:
    """Return the host's memory as `/proc/meminfo` tells it. Raises `MissingError`."""
    sizes = parse_sizes(text, _NAMES)
    for name in ("MemTotal", "MemAvailable"):
        if name not in sizes:
            raise MissingError(f"/proc/meminfo has no {name}; Linux tells it since 3.14")
    total, swap_total = sizes["MemTotal"], sizes.get("SwapTotal", 0)
    return HostMemory(
        total=total,
        available=min(sizes["MemAvailable"], total),
        swap_total=swap_total,
        swap_free=min(sizes.get("SwapFree", 0), swap_total),
        huge_pages=min(sizes.get("Hugetlb", 0), total),
    )


def read_meminfo(path: Path = MEMINFO) -> HostMemory:
    """Read the host's memory now. Raises `MissingError`."""
    return parse_meminfo(read_required(path, "how much memory the host has"))
