"""Where the cgroup file systems are mounted, from `/proc/self/mountinfo` (proc(5)). Reads it."""

import re
from pathlib import Path
from typing import NamedTuple

from aerostat.host.proc import read_small

MOUNTINFO = Path("/proc/self/mountinfo")

_ESCAPE = re.compile(r"\\([0-7]{3})")


class CgroupMounts(NamedTuple):
    """Which cgroup hierarchies there are; on a hybrid host both."""

    version2: Path | None
    memory_version1: Path | None
    """Where version 1 has the memory controller, which version 2 then has not."""


def parse_cgroup_mounts(text: str) -> CgroupMounts:
    """Return the first mount of each kind that mountinfo tells of."""
    version2 = memory1 = None
    for line in text.splitlines():
        mount, _, kind = line.partition(" - ")
        places, kinds = mount.split(" "), kind.split(" ")
        # Only a mount of the whole hierarchy has all groups at their own paths.
        if len(places) < 5 or len(kinds) < 3 or not places[4].startswith("/"):
            continue
        place = Path(_ESCAPE.sub(lambda octal: chr(int(octal[1], 8)), places[4]))
        if kinds[0] == "cgroup2":
            version2 = version2 or place
        elif kinds[0] == "cgroup" and "memory" in kinds[2].split(","):
            memory1 = memory1 or place
    return CgroupMounts(version2, memory1)


def read_cgroup_mounts(path: Path = MOUNTINFO) -> CgroupMounts:
    """Read which cgroup hierarchies there are; none where it cannot be known."""
    try:
        return parse_cgroup_mounts(read_small(path))
    except OSError:
        return CgroupMounts(None, None)
