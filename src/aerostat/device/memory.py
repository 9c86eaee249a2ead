"""The guest's memory in this process: its regions, mapped, and the table that they make up.

Touches the files that a front-end sends: it maps and measures them. Implements "Memory
regions description" of vhost-user. Linux only, standard library only.

A file that shrinks under a mapping kills whoever touches what is gone (SIGBUS). Sizes are
checked before mapping; a front-end that truncates its file later kills the device process of its
own guest, and no other: that is why there is one process a guest. (A file that is sealed against
shrinking cannot be; none of QEMU, user-mode Linux and Cloud Hypervisor seals its own.)
"""

import mmap
import os
import stat
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.device.punch import address_of
from aerostat.errors import PeerError
from aerostat.vhost_user.descriptors import OwnedDescriptor
from aerostat.vhost_user.messages import MAX_SLOTS, RegionDescription
from aerostat.virtio.memory import GuestMemory, Piece, Region

_ADDRESS_SPACE = 1 << 64
# st_blocks counts in these, whatever the file system's own blocks are (stat(2)).
_STAT_BLOCK = 512


class MemoryFile(NamedTuple):
    """The file behind a region, the same for every descriptor of it, and its unit of freeing."""

    device: int
    inode: int
    block_size: int


class MappedRegion:
    """One region of a guest's memory table, mapped here.

    Takes the descriptor over, whether or not it succeeds. Raises `PeerError` for a region that
    cannot be what it says.
    """

    def __init__(self, description: RegionDescription, descriptor: OwnedDescriptor) -> None:
        self.description = description
        self._descriptor = descriptor
        try:
            self._map(descriptor.fileno())
        except (OSError, ValueError) as error:
            descriptor.close()
            raise PeerError(f"memory table: {error}") from error
        except PeerError:
            descriptor.close()
            raise

    def _map(self, descriptor: int) -> None:
        guest_address, size, user_address, file_offset = self.description
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PeerError("memory table: a region that is not a file")
        if size == 0 or file_offset + size > status.st_size:
            raise PeerError(
                f"memory table: {size} bytes at {file_offset} of a file of {status.st_size}"
            )
        # On hugetlbfs a block is a huge page: only whole ones can be freed, or mapped.
        block = os.fstatvfs(descriptor).f_bsize
        self.file = MemoryFile(status.st_dev, status.st_ino, block)
        unit = mmap.ALLOCATIONGRANULARITY
        if status.st_size % block == 0:  # a file of hugetlbfs always is so
            unit = max(unit, block)
        start = file_offset // unit * unit
        end = min(-(-(file_offset + size) // unit) * unit, status.st_size)
        self._mapping = mmap.mmap(descriptor, end - start, offset=start)
        with memoryview(self._mapping) as whole:
            view = whole[file_offset - start : file_offset - start + size]
        self.region = Region(guest_address, size, user_address, view, file_offset, descriptor)

    def held(self) -> int:
        """Return the bytes that the whole file holds on the host."""
        return os.fstat(self._descriptor.fileno()).st_blocks * _STAT_BLOCK

    def is_at(self, description: RegionDescription) -> bool:
        """Return whether a description has these addresses and this size."""
        return description[:3] == self.description[:3]

    def close(self) -> None:
        """Unmap it and close its file. Rings hold views of their own: release them first."""
        self.region.view.release()
        self._mapping.close()
        self._descriptor.close()


class MappedMemory:
    """A guest's memory table: its regions, which one table hands over to the next.

    Raises `PeerError` for a table that cannot be, and then closes none of the regions.
    """

    def __init__(self, regions: Iterable[MappedRegion]) -> None:
        self.regions = tuple(regions)
        if len(self.regions) > MAX_SLOTS:
            raise PeerError(f"memory table: {len(self.regions)} regions")
        _check_user_addresses([region.description for region in self.regions])
        self.guest = GuestMemory(region.region for region in self.regions)
        self._by_descriptor = {region.region.file: region for region in self.regions}

    @classmethod
    def map(
        cls,
        descriptions: Sequence[RegionDescription],
        descriptors: Sequence[OwnedDescriptor],
        *,
        beside: Sequence[MappedRegion] = (),
    ) -> "MappedMemory":
        """Map regions, as a table of their own or `beside` others.

        Takes the descriptors over, whether or not it succeeds.
        """
        regions: list[MappedRegion] = []
        waiting = list(descriptors)
        try:
            while waiting:
                regions.append(MappedRegion(descriptions[len(regions)], waiting.pop(0)))
            return cls((*beside, *regions))
        except PeerError:
            for region in regions:
                region.close()
            for descriptor in waiting:
                descriptor.close()
            raise

    @property
    def size(self) -> int:
        """The bytes of all regions together."""
        return sum(region.description.size for region in self.regions)

    def held(self) -> int:
        """Return the bytes that the memory files hold on the host, each file counted once."""
        return sum({region.file: region.held() for region in self.regions}.values())

    def file_of(self, piece: Piece) -> MemoryFile:
        """Return the file in which a piece lies."""
        return self._by_descriptor[piece.region.file].file

    def spans(self) -> dict[MemoryFile, list[tuple[int, int]]]:
        """Return what of each file is the guest's: the (offset, size) of its regions there."""
        spans: dict[MemoryFile, list[tuple[int, int]]] = {}
        for region in self.regions:
            _, size, _, offset = region.description
            spans.setdefault(region.file, []).append((offset, size))
        return {file: sorted(parts) for file, parts in spans.items()}

    def page_by_page(self) -> dict[int, int]:
        """Return where regions begin in this process, by their descriptors.

        Only of regions of which the host can free every single page.
        """
        return {
            region.region.file: address_of(region.region.view)
            for region in self.regions
            if region.file.block_size == mmap.PAGESIZE == PAGE_SIZE
            and not any(number % PAGE_SIZE for number in region.description)
        }

    def close(self, keep: Collection[MappedRegion] = ()) -> None:
        """Close every region but those that the next table keeps."""
        for region in self.regions:
            if region not in keep:
                region.close()


def _check_user_addresses(descriptions: Sequence[RegionDescription]) -> None:
    """Raise `PeerError` if two regions overlap in the front-end, or one wraps around."""
    end = 0
    for region in sorted(descriptions, key=lambda region: region.user_address):
        if region.user_address < end:
            raise PeerError("memory table: regions overlap in the front-end")
        end = region.user_address + region.size
    if end > _ADDRESS_SPACE:
        raise PeerError("memory table: a region goes beyond 2^64")
