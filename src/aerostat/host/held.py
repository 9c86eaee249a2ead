"""What a process holds of the host's memory, from `/proc/PID/status` (proc(5)). Reads that file.

A guest's RAM is anonymous, shared (memfd, tmpfs) or on huge pages. Pages of ordinary files are
left out: they are the VMM's own program and can be dropped. What the VMM needs for itself is
anonymous too and cannot be told from the guest's; it is part of what the guest costs.
"""

from pathlib import Path

from aerostat.host.proc import parse_sizes, read_small

PROC = Path("/proc")
_PARTS = ("RssAnon", "RssShmem", "HugetlbPages")


def parse_held(text: str) -> int | None:
    """Return the bytes that `/proc/PID/status` tells of; None if it does not (a zombie, or old)."""
    sizes = parse_sizes(text, _PARTS)
    if "RssAnon" not in sizes:
        return None
    return sum(sizes.values())


def held_by(pid: int, proc: Path = PROC) -> int | None:
    """Return the bytes that process `pid` holds; None if it is gone or not to be read."""
    try:
        return parse_held(read_small(f"{proc}/{pid}/status"))
    except OSError:
        return None
