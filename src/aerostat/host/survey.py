"""How a host is set up, as far as it matters to the memory of its guests (proc(5), sysfs).

Reads files of `/proc` and `/sys`, once: this is for the doctor, not for the manager's loop.
"""

import contextlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from aerostat.host.mounts import CgroupMounts, read_cgroup_mounts
from aerostat.host.proc import read_small

PROC, SYS = Path("/proc"), Path("/sys")

_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
# kstat names of OpenZFS: "name type data".
_ARC = re.compile(r"^(size|c_min) +4 +([0-9]{1,19})$", re.MULTILINE)
_INTEGER = re.compile(r"-?[0-9]{1,19}")


class Survey(NamedTuple):
    """How a host is set up. Memory in bytes; None where the kernel does not tell."""

    release: str
    """The kernel's, such as ``6.1.0-13-amd64``; empty where it cannot be read."""
    pressure: bool
    """Whether the kernel tells memory pressure (PSI)."""
    trigger: bool
    """Whether we may have the kernel watch it."""
    overcommit: int | None
    """`vm.overcommit_memory`: 2 refuses memory that might be asked for."""
    cgroups: CgroupMounts
    memory_cgroups: bool
    """Whether cgroups of version 2 count memory."""
    zswap: bool
    zram: tuple[str, ...]
    """The swap devices that are compressed memory."""
    shared_pages: int
    """Memory that KSM saves, by keeping pages of guests only once."""
    arc: int
    """What the page cache of ZFS (ARC) holds, beyond what it never gives back."""

    @property
    def version(self) -> tuple[int, int] | None:
        """The kernel's version, such as (6, 1)."""
        found = _VERSION.match(self.release)
        return (int(found[1]), int(found[2])) if found else None


def read_survey(proc: Path = PROC, sys: Path = SYS) -> Survey:
    """Look at how the host is set up. What is not there is told as not there."""
    cgroups = read_cgroup_mounts(proc / "self/mountinfo")
    return Survey(
        release=_read(proc / "sys/kernel/osrelease").strip(),
        pressure=bool(_read(proc / "pressure/memory")),
        trigger=os.access(proc / "pressure/memory", os.W_OK),
        overcommit=_integer(_read(proc / "sys/vm/overcommit_memory")),
        cgroups=cgroups,
        memory_cgroups=counts_memory(cgroups),
        zswap=_read(sys / "module/zswap/parameters/enabled").strip() in {"Y", "1"},
        zram=parse_zram(_read(proc / "swaps")),
        shared_pages=_shared(sys / "kernel/mm/ksm"),
        arc=parse_arc(_read(proc / "spl/kstat/zfs/arcstats")),
    )


def counts_memory(mounts: CgroupMounts) -> bool:
    """Whether the memory controller belongs to the cgroups of version 2."""
    if mounts.version2 is None:
        return False
    return "memory" in _read(mounts.version2 / "cgroup.controllers").split()


def parse_zram(text: str) -> tuple[str, ...]:
    """Return the devices in `/proc/swaps` that are compressed memory."""
    devices = (line.split(" ")[0] for line in text.splitlines()[1:])
    return tuple(device for device in devices if device.startswith("/dev/zram"))


def parse_arc(text: str) -> int:
    """Return what ZFS's cache could give back, from its `arcstats`; 0 where there is none."""
    sizes = {name: int(size) for name, size in _ARC.findall(text)}
    return max(sizes.get("size", 0) - sizes.get("c_min", 0), 0)


def _shared(ksm: Path) -> int:
    if _integer(_read(ksm / "run")) != 1:
        return 0
    sharing = _integer(_read(ksm / "pages_sharing")) or 0
    return max(sharing, 0) * os.sysconf("SC_PAGE_SIZE")


def _integer(text: str) -> int | None:
    found = _INTEGER.fullmatch(text.strip())
    return int(found[0]) if found else None


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return read_small(path)
    return ""
