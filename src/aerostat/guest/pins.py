"""Keeping pages where they are while the host has them.

May make the system calls io_uring_setup and io_uring_register, mlock2, and set
vm.compact_unevictable_allowed. A page in the balloon must keep its frame: were the kernel to
swap it out, migrate it or merge it, the device would discard a frame that is somebody else's.
Locking is not enough, since compaction moves locked pages. Standard library only, Python 3.9.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
from pathlib import Path
from struct import Struct
from typing import Protocol

from aerostat.errors import MissingError

# The numbers are the same on every architecture that has io_uring, alpha excepted.
_IO_URING_SETUP = 425
_IO_URING_REGISTER = 427
_PARAMETERS_SIZE = 120
_REGISTER_BUFFERS2, _REGISTER_BUFFERS_UPDATE = 15, 16
_TABLE = Struct("@IIQQQ")  # nr, flags, reserved, iovecs, tags
_UPDATE = Struct("@IIQQII")  # offset, reserved, iovecs, tags, nr, reserved
_IOVEC = Struct("@NN")

#: How many areas one ring can pin: the kernel's own limit.
MAX_SLOTS = 1 << 14

_FREES_AT_ONCE = (6, 5)

_COMPACT = Path("/proc/sys/vm/compact_unevictable_allowed")

_libc = ctypes.CDLL(None, use_errno=True)


class Pins(Protocol):
    """Pins areas of memory, each in a slot."""

    holds: bool  # whether what is pinned stays so, and allocated, without the process
    lag: float  # seconds that the kernel may take to free what was unpinned

    def pin(self, slot: int, address: int, size: int) -> bool:
        """Allocate and pin the pages of an area; return false if there is no memory for them."""

    def unpin(self, slot: int, address: int, size: int) -> None:
        """Let the pages of an area go."""

    def close(self) -> None:
        """Let everything go."""


class UringPins:
    """Pins pages by registering them as buffers of an io_uring (Linux 5.13).

    The kernel holds such pages for good, as for DMA: they are not swapped, moved, merged or
    collapsed. They belong to the ring: whoever shares its descriptor holds them too, even when
    the process that mapped them has died. Raises `MissingError` where there is no io_uring.
    """

    holds = True

    def __init__(self) -> None:
        # Older kernels free in batches, one a second.
        self.lag = 0.0 if _release() >= _FREES_AT_ONCE else 1.2
        parameters = ctypes.create_string_buffer(_PARAMETERS_SIZE)
        ring = _libc.syscall(_IO_URING_SETUP, 1, parameters)
        if ring < 0:
            raise MissingError(f"no io_uring: {os.strerror(ctypes.get_errno())}")
        self._ring = ring
        # Slots without an area, to be filled one by one.
        empty = ctypes.create_string_buffer(MAX_SLOTS * _IOVEC.size)
        table = _TABLE.pack(MAX_SLOTS, 0, 0, ctypes.addressof(empty), 0)
        if self._register(_REGISTER_BUFFERS2, table) < 0:
            number = ctypes.get_errno()
            os.close(ring)
            raise MissingError(f"io_uring cannot pin pages: {os.strerror(number)}")

    def __str__(self) -> str:
        return "pinned by io_uring"

    def pin(self, slot: int, address: int, size: int) -> bool:
        """Allocate and pin the pages of an area; return false if there is no memory for them."""
        if self._update(slot, address, size):
            return True
        number = ctypes.get_errno()
        if number in {errno.ENOMEM, errno.EFAULT, errno.EAGAIN, errno.EINTR}:
            return False
        raise OSError(number, f"pinning pages: {os.strerror(number)}")

    def unpin(self, slot: int, address: int, size: int) -> None:  # noqa: ARG002 - the slot says it
        """Let the pages of an area go; see `lag` for when they are free."""
        if not self._update(slot, 0, 0):
            number = ctypes.get_errno()
            raise OSError(number, f"unpinning pages: {os.strerror(number)}")

    def close(self) -> None:
        """Let everything go, unless another process holds it too."""
        os.close(self._ring)

    def _update(self, slot: int, address: int, size: int) -> bool:
        area = ctypes.create_string_buffer(_IOVEC.pack(address, size), _IOVEC.size)
        update = _UPDATE.pack(slot, 0, ctypes.addressof(area), 0, 1, 0)
        return self._register(_REGISTER_BUFFERS_UPDATE, update) == 1

    def _register(self, operation: int, argument: bytes) -> int:
        # For these operations the kernel wants the size of the argument as its count.
        return int(
            _libc.syscall(_IO_URING_REGISTER, self._ring, operation, argument, len(argument))
        )


class LockPins:
    """Locks pages in memory, and asks the kernel not to move locked ones: the second best.

    Frames have to be looked at again before and after each use; and what is locked is freed when
    the process dies.
    """

    holds = False
    lag = 0.0

    def __init__(self) -> None:
        self._before = _write(_COMPACT, "0")

    def __str__(self) -> str:
        return "locked in memory (no io_uring to pin them)"

    def pin(self, slot: int, address: int, size: int) -> bool:  # noqa: ARG002 - needs no slot
        """Allocate and lock the pages of an area; return false if there is no memory for them."""
        place = ctypes.c_void_p(address), ctypes.c_size_t(size)
        if _libc.mlock2(*place, 0) == 0:
            return True
        number = ctypes.get_errno()
        if number in {errno.ENOMEM, errno.EAGAIN}:
            _libc.munlock(*place)
            return False
        raise OSError(number, f"locking pages: {os.strerror(number)}")

    def unpin(self, slot: int, address: int, size: int) -> None:  # noqa: ARG002 - needs no slot
        """Let the pages of an area go."""
        _libc.munlock(ctypes.c_void_p(address), ctypes.c_size_t(size))

    def close(self) -> None:
        """Let the kernel move locked pages again, if it did before."""
        if self._before:
            _write(_COMPACT, self._before)


def _release() -> tuple[int, int]:
    """Return the version of the kernel, such as (6, 1)."""
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def choose_pins() -> Pins:
    """Return the best way of pinning pages that this kernel has."""
    try:
        return UringPins()
    except MissingError:
        return LockPins()


def _write(path: Path, text: str) -> str:
    """Write a kernel parameter, where there is one; return what it was."""
    try:
        before = path.read_text().strip()
        path.write_text(text)
    except OSError:
        return ""
    return before
