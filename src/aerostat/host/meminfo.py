"""The host's memory, from `/proc/meminfo` (proc(5)). Reads that file."""

from pathlib import Path
from typing import NamedTuple

from aerostat.errors import MissingError
from aerostat.host.proc import parse_sizes, read_required

MEMINFO = Path("/proc/meminfo")


class HostMemory(NamedTuple):
    """What the host has, in bytes."""

    total: int
    available: int
    """What could be given to processes without swapping (`MemAvailable`)."""


def parse_meminfo(text: str) -> HostMemory:
    """Return the host's memory as `/proc/meminfo` tells it. Raises `MissingError`."""
    sizes = parse_sizes(text, ("MemTotal", "MemAvailable"))
    for name in ("MemTotal", "MemAvailable"):
        if name not in sizes:
            raise MissingError(f"/proc/meminfo has no {name}; Linux tells it since 3.14")
    total = sizes["MemTotal"]
    return HostMemory(total, min(sizes["MemAvailable"], total))


def read_meminfo(path: Path = MEMINFO) -> HostMemory:
    """Read the host's memory now. Raises `MissingError`."""
    return parse_meminfo(read_required(path, "how much memory the host has"))
