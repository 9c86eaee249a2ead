"""Memory that the device reaches: huge pages, one for the rings and all that is in their buffers.

May create a file of huge pages and change how many the guest has. A huge page is contiguous and
stays where it is, so one look at its physical address is enough. The file outlives the process
that uses it as long as another holds it, so that a live device never writes into freed memory.
No IOMMU is reckoned with: without ACCESS_PLATFORM a device uses physical addresses (virtio 1.2,
6.1). Standard library only, Python 3.9.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from pathlib import Path

from aerostat.errors import MissingError
from aerostat.guest.pagemap import PAGE_SIZE, Pagemap, address_of
from aerostat.virtio.memory import GuestMemory, Region

SIZE = 2 << 20

_POOL = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")


class HugePages:
    """The guest's pool of huge pages of 2 MiB, by its directory in sysfs."""

    def __init__(self, pool: Path = _POOL) -> None:
        self._pool = pool
        self._added = 0

    @property
    def free(self) -> int:
        """How many are free and promised to nobody. Raises `MissingError` if there is no pool."""
        return max(0, self._count("free_hugepages") - self._count("resv_hugepages"))

    def add(self, count: int = 1) -> None:
        """Have some more. Raises `MissingError` if the kernel finds no place for them."""
        before = self._count("nr_hugepages")
        self._set(before + count)
        self._added += max(0, self._count("nr_hugepages") - before)
        if self._added < count:
            self.take_back()
            raise MissingError(
                f"the guest's memory has no place for {count} huge page{'s' * (count > 1)} of "
                f"2 MiB: free some, or set vm.nr_hugepages={count} when it boots"
            )

    def take_back(self) -> None:
        """Undo what `add` did."""
        if self._added:
            self._set(max(0, self._count("nr_hugepages") - self._added))
            self._added = 0

    def _count(self, name: str) -> int:
        try:
            return int((self._pool / name).read_text())
        except OSError as error:
            raise MissingError(
                f"this kernel has no huge pages of 2 MiB (no {self._pool}); the rings need one"
            ) from error

    def _set(self, count: int) -> None:
        try:
            (self._pool / "nr_hugepages").write_text(str(count))
        except OSError as error:
            raise MissingError(f"cannot have a huge page: {error}") from error


class DmaPage:
    """Huge pages of the guest, mapped: `memory` has them at their physical `addresses`.

    The first one's is `address`, and `size` is what each has. Both a process and its children have
    them. Raises `MissingError` or one of its kinds.
    """

    size = SIZE

    def __init__(self, count: int = 1) -> None:
        with contextlib.ExitStack() as stack:
            self._pool = HugePages()
            if self._pool.free < count:
                self._pool.add(count - self._pool.free)
                stack.callback(self._pool.take_back)
            try:
                flags = os.MFD_CLOEXEC | os.MFD_HUGETLB | os.MFD_HUGE_2MB
                self._file = os.memfd_create("aerostat-rings", flags)
                stack.callback(os.close, self._file)
                os.ftruncate(self._file, count * SIZE)
                self._map = mmap.mmap(self._file, count * SIZE)
            except OSError as error:
                raise MissingError(f"cannot have a huge page for the rings: {error}") from error
            stack.callback(self._map.close)
            for place in range(0, count * SIZE, SIZE):
                self._map[place] = 0  # now it is there
            self.addresses = _physical_addresses(self._map)
            self.address = self.addresses[0]
            self.memory = GuestMemory(self._regions())
            stack.pop_all()

    def _regions(self) -> list[Region]:
        with memoryview(self._map) as whole:
            return [
                Region(address, SIZE, 0, whole[place * SIZE : (place + 1) * SIZE])
                for place, address in enumerate(self.addresses)
            ]

    def close(self) -> None:
        """Give it back, once no device knows of it and its rings are released."""
        with contextlib.suppress(BufferError):  # rings of a driver that did not end well
            self.memory.release()
            self._map.close()
        os.close(self._file)
        self._pool.take_back()


def _physical_addresses(mapping: mmap.mmap) -> list[int]:
    begin = address_of(mapping)
    pagemap = Pagemap()
    try:
        places = range(begin, begin + len(mapping), SIZE)
        frames = [pagemap.frames(place, 1)[0] for place in places]
    finally:
        pagemap.close()
    if not all(frames):
        raise MissingError("a huge page that is not in memory")
    return [frame * PAGE_SIZE for frame in frames]
