"""Reading small files of `/proc`, and the lines they have in common (proc(5)). Reads files."""

import os
import re
from collections.abc import Collection
from pathlib import Path

from aerostat.errors import MissingError

# The largest files read here, `/proc/vmstat` and mountinfo, have some KiB. Bounds what a file that
# is not what it seems (the paths are configurable, for tests) makes us hold.
_MAX_BYTES = 64 * 1024

_LINE = re.compile(r"^(\w+(?:\(\w+\))?):[ \t]+([0-9]{1,15}) kB$", re.MULTILINE)


def read_small(path: str | Path) -> str:
    """Return the text of a file of `/proc` or `/sys`, cut at 64 KiB. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        read = part = os.read(descriptor, _MAX_BYTES)
        # The kernel hands out long lists, such as vmstat, by about a page at a time.
        while part and len(read) < _MAX_BYTES:
            part = os.read(descriptor, _MAX_BYTES - len(read))
            read += part
        return read.decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def read_required(path: str | Path, purpose: str) -> str:
    """Return the text of a file that every host should have. Raises `MissingError`."""
    try:
        return read_small(path)
    except OSError as error:
        raise MissingError(
            f"{path} cannot be read ({error.strerror}); it tells {purpose}"
        ) from error


def parse_sizes(text: str, names: Collection[str]) -> dict[str, int]:
    """Return the lines ``Name: 123 kB`` that have these names and are there, in bytes."""
    found = _LINE.findall(text)
    return {name: int(size_kib) * 1024 for name, size_kib in found if name in names}
