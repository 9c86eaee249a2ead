"""A laboratory: guests on balloon devices, and a clean end whatever happens.

Guests are user-mode Linux, or processes, which need nothing but Python, or domains of a libvirt
that is the laboratory's own.

Touches processes, its own run directory, and leftovers of laboratories that were killed.
"""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aerostat.testing.guests.libvirt import LibvirtGuest
from aerostat.testing.guests.process import ProcessGuest
from aerostat.testing.guests.uml import UmlGuest
from aerostat.testing.processes import places, sessions
from aerostat.testing.processes.device import DeviceProcess
from aerostat.testing.processes.libvirtd import Libvirtd
from aerostat.testing.processes.nursery import Nursery

Guest = UmlGuest | ProcessGuest

log = logging.getLogger(__name__)


class Laboratory:
    """A run directory of guests and devices; use it as an asynchronous context manager.

    `memory` is how much memory of user-mode Linux guests there will be in all, in bytes: room for
    it is looked for before anything starts (`MissingError`). `parent` is where the run directory
    goes, the temporary directory by default.
    """

    def __init__(self, *, memory: int, parent: Path | None = None) -> None:
        self._memory = memory
        self._parent = Path(parent or tempfile.gettempdir())
        self._directory: Path | None = None
        self._memory_directory: Path | None = None
        self._nursery: Nursery | None = None
        self._libvirtd: Libvirtd | None = None
        self._libvirtd_turn = asyncio.Lock()
        self.guests: list[Guest] = []
        self.domains: list[LibvirtGuest] = []
        self.devices: list[DeviceProcess] = []

    @property
    def directory(self) -> Path:
        """The run directory; ``NAME.sock`` in it is the control socket of guest NAME's device."""
        assert self._directory is not None, "enter the laboratory first"
        return self._directory

    @property
    def memory_directory(self) -> Path:
        """Where the guests' memory files are."""
        assert self._memory_directory is not None, "enter the laboratory first"
        return self._memory_directory

    async def __aenter__(self) -> Self:
        for left in places.run_directories(self._parent):
            if found := await asyncio.to_thread(sessions.sweep, left):
                log.warning("ended %d processes that an earlier run left in %s", found, left)
        self._memory_directory = places.memory_directory(self._memory)
        self._directory = places.run_directory(self._parent)
        sessions.own(self._directory)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def start_guest(
        self,
        name: str,
        size: int,
        *,
        arguments: Sequence[str] = (),
        device_options: Sequence[str] = ("--no-free-page-reporting", "--block-reads", "rchar"),
        kernel: Path | None = None,
    ) -> UmlGuest:
        """Boot guest `name` of `size` bytes on a balloon device of its own.

        `arguments` are further ones for its kernel, `device_options` those of its device: without
        free page reporting, as on a QEMU that was not asked for it, so that what a guest has
        touched is held until its balloon takes it, and with its disk reads counted, as QEMU does.
        `kernel` is a user-mode Linux other than the usual one.
        """
        device = await self._start_device(name, size, device_options)
        guest = UmlGuest(
            name,
            size=size,
            directory=self.directory,
            device_socket=device.socket,
            memory_directory=self._memory_directory,
            arguments=arguments,
            kernel=kernel,
        )
        self.guests.append(guest)
        await guest.start()
        return guest

    async def start_process_guest(
        self,
        name: str,
        size: int,
        *,
        options: Sequence[str] = (),
        device_options: Sequence[str] = (),
    ) -> ProcessGuest:
        """Start guest `name` of `size` bytes, a process, on a balloon device of its own.

        `options` are further ones of ``python -m aerostat.process_guest``, `device_options` those
        of its device.
        """
        if self._nursery is None:
            self._nursery = Nursery(directory=self.directory)
            await self._nursery.start()
        device = await self._start_device(name, size, device_options)
        guest = ProcessGuest(
            name,
            size=size,
            directory=self.directory,
            device_socket=device.socket,
            nursery=self._nursery,
            options=options,
        )
        self.guests.append(guest)
        await guest.start()
        return guest

    async def start_libvirt_guest(self, name: str, size: int, **how: Any) -> LibvirtGuest:
        """Boot guest `name` of `size` bytes, a domain of the laboratory's libvirt.

        `how` is what else `LibvirtGuest` takes.
        """
        guest = LibvirtGuest(
            name, size=size, directory=self.directory, libvirtd=await self.libvirtd(), **how
        )
        self.domains.append(guest)
        await guest.start()
        return guest

    async def libvirtd(self) -> Libvirtd:
        """Return the laboratory's libvirtd, which is started when it is asked for first."""
        async with self._libvirtd_turn:
            if self._libvirtd is None:
                self._libvirtd = Libvirtd(directory=self.directory)
                await self._libvirtd.start()
        return self._libvirtd

    async def _start_device(
        self, name: str, size: int, options: Sequence[str] = ()
    ) -> DeviceProcess:
        device = DeviceProcess(name, size=size, directory=self.directory, options=tuple(options))
        self.devices.append(device)
        await device.start()
        return device

    async def close(self) -> None:
        """End everything, guests first, and remove the run directory."""
        ended = await asyncio.gather(
            *(guest.stop() for guest in (*self.guests, *self.domains)), return_exceptions=True
        )
        if self._nursery is not None:
            await self._nursery.kill()
        if self._libvirtd is not None:
            await self._libvirtd.stop()
        # Whatever became of the guests, no device is left.
        ended += await asyncio.gather(
            *(device.stop() for device in self.devices), return_exceptions=True
        )
        for error in ended:
            if error is not None:
                raise error
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
