"""A laboratory guest on a device that watches its driver, and marks in the pages that it gives.

A page that is being given, taken back or reported is not the driver's to use until the device has
acknowledged it (virtio 1.2, 5.5.6.1 and 5.5.6.7.1). Whether it is left alone is seen like this:
the device keeps the request to itself, writes a mark into each page, and the guest is made to use
all the memory that it has left.
"""

from hashlib import sha256
from os import pread, pwrite
from typing import NamedTuple

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.device import Request
from aerostat.testing.conformance.device_thread import ServedDevice
from aerostat.testing.conformance.watched_device import WatchedDevice
from aerostat.testing.laboratory import Guest
from aerostat.testing.polling import until

# Real guests take their time where the machine is busy.
_WITHIN = 60.0


class WatchedGuest(NamedTuple):
    """A guest, and the device that watches it. `left_free` bytes are left when all is used.

    A real kernel kills before the last page is gone.
    """

    guest: Guest
    device: WatchedDevice
    served: ServedDevice
    left_free: int

    def ask(self, balloon_size: int) -> None:
        """Ask for a balloon of so many bytes."""
        self.served.control.run("balloon", value=self.guest.size - balloon_size)

    async def says(self, balloon_size: int) -> None:
        """Wait until the driver says that its balloon has so many bytes."""
        await until(lambda: self.device.balloon_size == balloon_size, within=_WITHIN)

    async def settle(self, balloon_size: int) -> None:
        """Ask for a balloon of so many bytes, and wait until the driver says that it has them."""
        self.ask(balloon_size)
        await self.says(balloon_size)

    async def withheld(self) -> Request:
        """Wait until the device has kept a request to itself; return it."""
        await until(lambda: bool(self.device.held), within=_WITHIN)
        (request,) = self.device.held
        return request

    async def use_what_is_free(self, worker: str) -> int:
        """Have the guest fill nearly all of its free memory; return the pages that were damaged."""
        await self.guest.command("hold", worker=worker, size=0)
        free = (await self.guest.counters())["meminfo"]["MemFree"] - self.left_free
        await self.guest.command("hold", worker=worker, size=max(0, free))
        return int((await self.guest.command("check", worker=worker))["damaged"])

    async def end(self, worker: str) -> None:
        """End a worker: what it has is free."""
        await self.guest.command("end_worker", name=worker)


class Marks:
    """A mark of its own in each page of a request, written now.

    The device may change the pages while the request is with it (5.5.6.2).
    """

    def __init__(self, request: Request) -> None:
        self._file = request.pieces[0].region.file
        self._marks: dict[int, bytes] = {}
        for region, offset, length in request.pieces:
            begin = region.file_offset + offset
            for place in range(begin, begin + length, PAGE_SIZE):
                digest = sha256(place.to_bytes(8, "little")).digest()
                self._marks[place] = digest * (PAGE_SIZE // len(digest))
                pwrite(self._file, self._marks[place], place)

    def __len__(self) -> int:
        return len(self._marks)

    def changed(self) -> int:
        """Return how many pages have something else in them by now."""
        return sum(
            pread(self._file, PAGE_SIZE, place) != mark for place, mark in self._marks.items()
        )
