"""Where memory files and sockets go: checked for room before anything is started.

A container's /dev/shm is often 64 MiB, and a guest whose memory file finds no room dies of a bus
error in the middle of its work. Touches only directories.
"""

import os
import string
import tempfile
from collections.abc import Iterable
from pathlib import Path

from aerostat.errors import MissingError, UsageError
from aerostat.units import format_size

# The best place for memory files: not on any disk.
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - names are random

# `sun_path` holds 108 bytes with its final zero; names in a run directory need some of them.
_LONGEST_DIRECTORY = 64
_PREFIX = "aerostat-"
_CHOOSE = "choose another directory, for instance with TMPDIR=/tmp"
# A path ends at these on a kernel's command line, and in its name of a vhost-user socket.
_DIVIDERS = string.whitespace + '":'


def memory_directory(size: int, candidates: Iterable[str | Path] | None = None) -> Path:
    """Return a directory that has room for `size` bytes of guest memory.

    It must allow executable mappings, since a user-mode Linux runs programs in its memory file.
    Raises `MissingError`.
    """
    if candidates is None:
        candidates = (SHARED_MEMORY, tempfile.gettempdir(), "/tmp", "/var/tmp")  # noqa: S108 - names are random
    looked: dict[str, str] = {}
    for candidate in candidates:
        directory = Path(candidate)
        why = _unfit(directory, size)
        if not why:
            return directory
        looked[str(directory)] = why
    places = "; ".join(f"{place}: {why}" for place, why in looked.items())
    raise MissingError(
        f"no room for {format_size(size)} of guest memory ({places}). "
        "Make room in one of them, or set TMPDIR to a directory that has it"
    )


def _unfit(directory: Path, size: int) -> str:
    """Return why `directory` cannot take `size` bytes of guest memory, or nothing if it can."""
    if not os.access(directory, os.W_OK | os.X_OK):
        return "not a directory that can be written"
    system = os.statvfs(directory)
    if system.f_flag & os.ST_NOEXEC:
        return "mounted noexec"
    if (free := system.f_bavail * system.f_frsize) < size:
        return f"{format_size(free)} free"
    return ""


def run_directory(parent: str | Path | None = None) -> Path:
    """Return a new private directory whose path is short enough for unix sockets.

    Raises `UsageError` where `parent` is too long, cannot stand on a guest's command line, or is
    hidden from a guest: /dev, /proc and /sys of a user-mode Linux are its own.
    """
    parent = Path(parent or tempfile.gettempdir()).resolve()
    if len(os.fsencode(parent)) > _LONGEST_DIRECTORY - 16:
        raise UsageError(f"{parent} is too long a path for unix sockets; {_CHOOSE}")
    if any(character in _DIVIDERS for character in str(parent)):
        raise UsageError(f"a guest cannot be told of {parent}; {_CHOOSE}")
    if parent.parts[1:2] in (("dev",), ("proc",), ("sys",)):
        raise UsageError(f"a guest cannot see the host's {parent}; {_CHOOSE}")
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))


def run_directories(parent: Path) -> list[Path]:
    """Return the run directories that there are in `parent`, whoever's they are."""
    return sorted(parent.glob(f"{_PREFIX}*/"))
