"""Device registers: whole accesses of the width that the caller names (virtio 1.2, 4.1.3.1).

Touches a mapped BAR, or an I/O BAR through its sysfs file. A slice of a mapping would be a memcpy
of no promised width, and QEMU drops half of a 16-bit store that comes as two bytes; so each
access is one element of a cast view, or one read or write of so many bytes. Standard library
only, Python 3.9. For little-endian machines: rings refuse others anyway.
"""

from __future__ import annotations

import os
import sys
from typing import Protocol

from aerostat.errors import PeerError


class Registers(Protocol):
    """Registers by offset in bytes; `width` is 1, 2 or 4."""

    def load(self, offset: int, width: int) -> int:
        """Return a register."""

    def store(self, offset: int, width: int, value: int) -> None:
        """Set a register."""

    def close(self) -> None:
        """Let go of the device."""


class MappedRegisters:
    """Registers in memory: `length` bytes of the mapping `view`, from `offset`.

    Raises `PeerError` if the view has no such part: capabilities are the device's word.
    """

    def __init__(self, view: memoryview, offset: int, length: int) -> None:
        if offset % 4 or length <= 0 or offset + length > view.nbytes:
            raise PeerError(f"registers at {offset:#x}+{length:#x} of a BAR of {view.nbytes:#x}")
        self._views: dict[int, memoryview] = {}
        for width in (1, 2, 4):
            # What is left over at the end could not be accessed whole.
            if length >= width:
                with view[offset : offset + length - length % width] as part:
                    self._views[width] = _cast(part, width)

    def load(self, offset: int, width: int) -> int:
        """Return a register."""
        return self._views[width][offset // width]

    def store(self, offset: int, width: int, value: int) -> None:
        """Set a register."""
        self._views[width][offset // width] = value

    def close(self) -> None:
        """Let go of the view."""
        for view in self._views.values():
            view.release()


def _cast(part: memoryview, width: int) -> memoryview:
    return part.cast("B") if width == 1 else part.cast("H") if width == 2 else part.cast("I")


class PortRegisters:
    """I/O ports of a BAR, through the file in sysfs that is open as `descriptor` (now ours)."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def load(self, offset: int, width: int) -> int:
        """Return a register."""
        data = os.pread(self._descriptor, width, offset)
        if len(data) != width:
            raise PeerError(f"no I/O port at {offset:#x}")
        return int.from_bytes(data, sys.byteorder)

    def store(self, offset: int, width: int, value: int) -> None:
        """Set a register."""
        os.pwrite(self._descriptor, value.to_bytes(width, sys.byteorder), offset)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
