"""Where this process's memory is in the guest: physical page frames, from /proc/self/pagemap.

May read /proc/self/pagemap and take the address of a mapping. Only root is told the frames.
Standard library only, Python 3.9.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from array import array

from aerostat.errors import MissingError
from aerostat.guest.permissions import NotPermittedError

_PRESENT = 1 << 63
_FRAME = (1 << 55) - 1
_ENTRY = 8

PAGE_SIZE = mmap.PAGESIZE


def address_of(mapping: mmap.mmap) -> int:
    """Return the virtual address of a writable mapping."""
    first = ctypes.c_char.from_buffer(mapping)
    return ctypes.addressof(first)


class Pagemap:
    """The page frames of this process, which is not to fork afterwards.

    Raises `MissingError` where the kernel has no such file.
    """

    def __init__(self, path: str = "/proc/self/pagemap") -> None:
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise MissingError(
                f"cannot tell where memory is without {path}: {error.strerror}"
            ) from error

    def frames(self, address: int, count: int) -> list[int]:
        """Return the frame numbers of `count` pages from `address`, 0 for those not in memory.

        In pages of the guest's own size. Raises `NotPermittedError` if the kernel hides them.
        """
        data = os.pread(self._file, count * _ENTRY, address // PAGE_SIZE * _ENTRY)
        entries = array("Q", data)
        if any(entry & _PRESENT and not entry & _FRAME for entry in entries):
            raise NotPermittedError(
                "the kernel does not tell where pages are: it takes CAP_SYS_ADMIN, of the whole "
                "guest and not of a container in it"
            )
        return [entry & _FRAME if entry & _PRESENT else 0 for entry in entries]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
