"""Giving a piece of a file back to the host: `fallocate(2)` with a hole.

Python's own `os.posix_fallocate` takes no mode, so this calls the C library through ctypes, which
also lets go of the interpreter's lock meanwhile. Linux only; standard library only.
"""

import ctypes
import os

# linux/falloc.h. The hole reads as zeros, its blocks are free, the file keeps its length.
FALLOC_FL_KEEP_SIZE = 0x1
FALLOC_FL_PUNCH_HOLE = 0x2

_fallocate = ctypes.CDLL(None, use_errno=True).fallocate64
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_fallocate.restype = ctypes.c_int


def punch_hole(descriptor: int, offset: int, length: int) -> None:
    """Free `length` bytes at `offset` for every process that maps the file; raises `OSError`."""
    if _fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
