"""The guest's memory in this process: mapping its regions, and giving pages back to the host.

Touches the files that a front-end sends: it maps, measures and punches them. Implements "Memory
regions description" of vhost-user. Linux only, standard library only.

A file that shrinks under a mapping kills whoever touches what is gone (SIGBUS). Sizes are
checked before mapping; a front-end that truncates its file later kills the device process of its
own guest, and no other: that is why there is one process a guest.
"""

import mmap
import os
import stat
from collections.abc import Sequence

from aerostat.device.punch import punch_hole
from aerostat.errors import PeerError
from aerostat.vhost_user.descriptors import OwnedDescriptor
from aerostat.vhost_user.messages import RegionDescription
from aerostat.virtio.memory import GuestMemory, Piece, Region

_ADDRESS_SPACE = 1 << 64
# st_blocks counts in these, whatever the file system's own blocks are (stat(2)).
_STAT_BLOCK = 512


class MappedMemory:
    """Every region of a guest's memory table, mapped here.

    Takes the descriptors over, whether or not it succeeds. Raises `PeerError` for a table that
    cannot be what it says.
    """

    def __init__(
        self, descriptions: Sequence[RegionDescription], descriptors: Sequence[OwnedDescriptor]
    ) -> None:
        self._descriptors = tuple(descriptors)
        self._mappings: list[mmap.mmap] = []
        self._block_sizes: dict[int, int] = {}
        regions: list[Region] = []
        self.guest: GuestMemory | None = None
        try:
            _check_user_addresses(descriptions)
            for description, descriptor in zip(descriptions, descriptors, strict=True):
                regions.append(self._map(description, descriptor.fileno()))
            self.guest = GuestMemory(regions)
        except (OSError, ValueError) as error:
            raise PeerError(f"memory table: {error}") from error
        finally:
            if self.guest is None:
                for region in regions:
                    region.view.release()
                self.close()

    @property
    def size(self) -> int:
        """The bytes of all regions together."""
        return sum(region.size for region in self._regions)

    def held(self) -> int:
        """Return the bytes that the memory files hold on the host, each file counted once."""
        files = {}
        for descriptor in self._descriptors:
            status = os.fstat(descriptor.fileno())
            files[status.st_dev, status.st_ino] = status.st_blocks * _STAT_BLOCK
        return sum(files.values())

    def punch(self, piece: Piece) -> int:
        """Give a piece back to the host; return the bytes that were whole blocks of its file.

        What remains of a block at either end stays as it is: it cannot be freed, and its other
        half may be in use. Raises `OSError` where the file system cannot punch holes.
        """
        block = self._block_sizes[piece.region.file]
        start = piece.region.file_offset + piece.offset
        end = (start + piece.length) // block * block
        start = -(-start // block) * block
        if end <= start:
            return 0
        punch_hole(piece.region.file, start, end - start)
        return end - start

    def close(self) -> None:
        """Unmap and close everything. Rings hold views of their own: release them first."""
        if self.guest is not None:
            self.guest.release()
            self.guest = None
        for mapping in self._mappings:
            mapping.close()
        self._mappings.clear()
        for descriptor in self._descriptors:
            descriptor.close()
        self._descriptors = ()

    @property
    def _regions(self) -> tuple[Region, ...]:
        return () if self.guest is None else self.guest.regions

    def _map(self, description: RegionDescription, descriptor: int) -> Region:
        guest_address, size, user_address, file_offset = description
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PeerError("memory table: a region that is not a file")
        if size == 0 or file_offset + size > status.st_size:
            raise PeerError(
                f"memory table: {size} bytes at {file_offset} of a file of {status.st_size}"
            )
        # Mappings begin on a page; the region begins where it says.
        before = file_offset % mmap.ALLOCATIONGRANULARITY
        mapping = mmap.mmap(descriptor, size + before, offset=file_offset - before)
        self._mappings.append(mapping)
        # On hugetlbfs a block is a huge page, and only whole ones can be freed.
        self._block_sizes[descriptor] = os.fstatvfs(descriptor).f_bsize
        view = memoryview(mapping)[before:]
        return Region(guest_address, size, user_address, view, file_offset, descriptor)


def _check_user_addresses(descriptions: Sequence[RegionDescription]) -> None:
    """Raise `PeerError` if two regions overlap in the front-end, or one wraps around."""
    end = 0
    for region in sorted(descriptions, key=lambda region: region.user_address):
        if region.user_address < end:
            raise PeerError("memory table: regions overlap in the front-end")
        end = region.user_address + region.size
    if end > _ADDRESS_SPACE:
        raise PeerError("memory table: a region goes beyond 2^64")
