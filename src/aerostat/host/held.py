"""What a process holds of the host's memory, from `/proc/PID` (proc(5)). Reads files there.

A guest's RAM is anonymous, shared (memfd, tmpfs) or on huge pages. Pages of ordinary files are
left out: they are the VMM's own program and can be dropped. What the VMM needs for itself is
anonymous too and cannot be told from the guest's; it is part of what the guest costs.

A memory file that several processes share (a VMM and the device process of its balloon) holds
what it holds whoever has touched it, and counts once: `held_together`.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from aerostat.errors import AerostatError
from aerostat.host.cgroup import cgroup_of
from aerostat.host.proc import parse_sizes, read_small

PROC = Path("/proc")
_PARTS = ("RssAnon", "RssShmem", "HugetlbPages")
# `st_blocks` counts in these, whatever the file system does (stat(2)).
_BLOCK = 512

_SHM = "/dev/shm/"  # noqa: S108 - a name that is compared, not a place to write to
# Memory files as /proc/PID/fd calls them. A disk image that a VMM has open is none.
_MEMORY_FILE = ("/memfd:", _SHM, "/dev/hugepages", "/anon_hugepage")
# More than a VMM has open that is of sound mind.
_MOST_FILES = 4096

FileId = tuple[int, int]
"""Device and inode: what makes a file the same file."""


class Held(NamedTuple):
    """What a process holds, in bytes: alone, and in memory files that others may share."""

    alone: int
    files: Mapping[FileId, int] = MappingProxyType({})

    @property
    def total(self) -> int:
        """All of it."""
        return self.alone + sum(self.files.values())


def parse_held(text: str) -> int | None:
    """Return the bytes that `/proc/PID/status` tells of; None if it does not (a zombie, or old)."""
    sizes = parse_sizes(text, _PARTS)
    if "RssAnon" not in sizes:
        return None
    return sum(sizes.values())


def held_by_cgroup(pid: int, proc: Path = PROC) -> int | None:
    """Return the bytes that the cgroup of process `pid` holds and cannot just drop.

    Only where it is the process's own (a machine's scope); None where that cannot be known.
    """
    try:
        group = cgroup_of(pid, proc)
        return group.read().held if group and group.processes() == {pid} else None
    except AerostatError:
        return None


def held_by(pid: int, proc: Path = PROC) -> int | None:
    """Return the bytes that process `pid` holds; None if it is gone or not to be read."""
    try:
        return parse_held(read_small(f"{proc}/{pid}/status"))
    except OSError:
        return None


def memory_files(pid: int, proc: Path = PROC) -> dict[FileId, int]:
    """Return the bytes that each memory file holds which process `pid` has open.

    None are seen where we may not look into the process: that takes its user or root.
    """
    files: dict[FileId, int] = {}
    with contextlib.suppress(OSError), os.scandir(f"{proc}/{pid}/fd") as entries:
        for _, entry in zip(range(_MOST_FILES), entries, strict=False):
            with contextlib.suppress(OSError):  # it may have been closed meanwhile
                if str(Path(entry.path).readlink()).startswith(_MEMORY_FILE):
                    status = entry.stat()
                    if stat.S_ISREG(status.st_mode):
                        files[status.st_dev, status.st_ino] = status.st_blocks * _BLOCK
    return files


def held_by_file(file: FileId, pid: int, proc: Path = PROC) -> int | None:
    """Return the bytes that a memory file holds, seen through `pid`, which has it open."""
    return memory_files(pid, proc).get(file)


def read_held(pid: int, proc: Path = PROC) -> Held | None:
    """Return what process `pid` holds, memory files apart; None if it cannot be known."""
    try:
        sizes = parse_sizes(read_small(f"{proc}/{pid}/status"), _PARTS)
    except OSError:
        return None
    if "RssAnon" not in sizes:
        return None
    files = memory_files(pid, proc)
    # A file holds what anybody has touched of it; the process maps that, or less.
    shared = sizes.get("RssShmem", 0) + sizes.get("HugetlbPages", 0)
    return Held(sizes["RssAnon"] + max(shared - sum(files.values()), 0), files)


def held_together(holders: Iterable[Held]) -> int:
    """Return the bytes that processes hold together, each memory file counted once."""
    alone = 0
    files: dict[FileId, int] = {}
    for held in holders:
        alone += held.alone
        for file, size in held.files.items():
            files[file] = max(size, files.get(file, 0))
    return alone + sum(files.values())
