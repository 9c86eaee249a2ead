"""A file for a case: in memory, at a path. Touches /dev/shm where there is one."""

import atexit
import shutil
import tempfile
from pathlib import Path

_MADE: list[Path] = []


def directory() -> Path:
    """Return a directory of this process's own, which is removed at its end."""
    if not _MADE:
        shm = Path("/dev/shm")  # noqa: S108 - not written to by that name
        place = shm if shm.is_dir() else None
        _MADE.append(Path(tempfile.mkdtemp(prefix="aerostat-fuzz-", dir=place)))
        atexit.register(shutil.rmtree, _MADE[0], ignore_errors=True)
    return _MADE[0]


def write(name: str, data: bytes) -> Path:
    """Return the path of a file with `data`, in the place of the last one of this name."""
    path = directory() / name
    path.write_bytes(data)
    return path
