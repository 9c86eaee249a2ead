"""The memory of a guest that is a process: one memfd, with regions that are places in it.

Implements the front-end's part of "Memory regions description" of vhost-user. Touches the memfd
and this process's mapping of it. Linux only, standard library only.
"""

import fcntl
import mmap
import os
from collections.abc import Iterable

from aerostat.vhost_user.messages import RegionDescription
from aerostat.virtio.memory import GuestMemory, Region

#: Where guest address 0 is said to be mapped in the front-end: no address that means anything
#: here, so that a device that takes one kind of address for the other is found out.
USER_BASE = 0x7E00_0000_0000

# st_blocks counts in these (stat(2)).
_STAT_BLOCK = 512


class GuestMemoryFile:
    """Guest memory in one memfd, which starts `offset` bytes into it.

    `spans` are the (guest address, size) of its regions, all in bytes, which follow each other in
    the file however far apart their addresses are. The file can neither shrink nor grow, so that
    no device need fear that what it has mapped goes away. `memory` gives access to it. With `huge`
    it is on the host's huge pages, and raises `OSError` where those do not suffice.
    """

    def __init__(
        self, spans: Iterable[tuple[int, int]], offset: int = 0, *, huge: bool = False
    ) -> None:
        spans = tuple(spans)
        self.size = offset + sum(size for _, size in spans)
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | (os.MFD_HUGETLB if huge else 0)
        self.descriptor = os.memfd_create("guest", flags)
        os.ftruncate(self.descriptor, self.size)
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self._mapping = mmap.mmap(self.descriptor, self.size)
        regions = []
        for address, size in spans:
            with memoryview(self._mapping) as whole:
                view = whole[offset : offset + size]
            user = USER_BASE + address
            regions.append(Region(address, size, user, view, offset, self.descriptor))
            offset += size
        self.memory = GuestMemory(regions)

    @property
    def descriptions(self) -> tuple[RegionDescription, ...]:
        """The regions as a back-end is told of them; the file behind each is `descriptor`."""
        return tuple(
            RegionDescription(
                region.guest_address, region.size, region.user_address, region.file_offset
            )
            for region in self.memory.regions
        )

    @property
    def held(self) -> int:
        """The bytes that the file takes of the host's memory."""
        return os.fstat(self.descriptor).st_blocks * _STAT_BLOCK

    def holes(self) -> list[tuple[int, int]]:
        """Return the (offset, length) of everything in the file that takes no memory."""
        holes, position = [], 0
        while position < self.size:
            start = os.lseek(self.descriptor, position, os.SEEK_HOLE)
            if start >= self.size:
                break
            try:
                position = os.lseek(self.descriptor, start, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but hole from here on
                position = self.size
            holes.append((start, position - start))
        return holes

    def close(self) -> None:
        """Let go of the memory; whoever holds views of it, such as rings, releases them first."""
        self.memory.release()
        self._mapping.close()
        os.close(self.descriptor)
