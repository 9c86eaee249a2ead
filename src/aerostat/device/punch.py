"""Giving pieces of a file back to the host: one at a time, or those of a whole request at once.

`fallocate(2)` makes one hole, in a file. `process_madvise(2)` with MADV_REMOVE makes as many as a
request has, where this process has mapped the file: half the price where the pages are scattered.
Linux has that for a process's own memory since 6.13.

Python offers neither (`os.posix_fallocate` takes no mode), so this calls the C library through
ctypes, which also lets go of the interpreter's lock meanwhile. Linux only; standard library only.
"""

import ctypes
import errno
import functools
import mmap
import os
import struct
from collections.abc import Sequence

# linux/falloc.h. The hole reads as zeros, its blocks are free, the file keeps its length.
FALLOC_FL_KEEP_SIZE = 0x1
FALLOC_FL_PUNCH_HOLE = 0x2

# Its number on every machine (asm-generic/unistd.h). The C library has no name for it before
# glibc 2.36.
_PROCESS_MADVISE = 440
# So many holes at most in one call (IOV_MAX, linux/uio.h).
_MOST = 1024

_library = ctypes.CDLL(None, use_errno=True)

_fallocate = _library.fallocate64
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_fallocate.restype = ctypes.c_int

_syscall = _library.syscall
_syscall.argtypes = (
    *(ctypes.c_long, ctypes.c_int, ctypes.c_char_p),
    *(ctypes.c_size_t, ctypes.c_int, ctypes.c_uint),
)
_syscall.restype = ctypes.c_ssize_t


def punch_hole(descriptor: int, offset: int, length: int) -> None:
    """Free `length` bytes at `offset` for every process that maps the file; raises `OSError`."""
    if _fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) != 0:
        raise _error()


def punch_mapped(spans: Sequence[int]) -> int:
    """Free shared memory of this process for every process that maps it; raises `OSError`.

    `spans` are whole pages: an address, a length in bytes, the next address, and so on. Returns
    the number of system calls that it took.
    """
    calls = 0
    for first in range(0, len(spans), 2 * _MOST):
        part = spans[first : first + 2 * _MOST]
        vector = struct.pack(f"@{len(part)}N", *part)
        done = _syscall(_PROCESS_MADVISE, _this(), vector, len(part) // 2, mmap.MADV_REMOVE, 0)
        calls += 1
        if done < 0:
            raise _error()
        if done < sum(part[1::2]):
            raise OSError(errno.EIO, "only some of the holes could be made")
    return calls


@functools.cache
def can_punch_mapped() -> bool:
    """Return whether the kernel does what `punch_mapped` asks; it is tried once."""
    with mmap.mmap(-1, mmap.PAGESIZE) as memory:
        try:
            punch_mapped([address_of(memoryview(memory)), mmap.PAGESIZE])
        except OSError:
            return False
    return True


def address_of(view: memoryview) -> int:
    """Return where the first byte of a writable `view` is in this process."""
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


@functools.cache
def _this() -> int:
    """Return a descriptor of this process, which stays open."""
    return os.pidfd_open(os.getpid())


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
