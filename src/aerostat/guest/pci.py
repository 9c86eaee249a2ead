"""PCI functions in sysfs: finding the balloons, taking one from the kernel, putting it back.

May read and write /sys/bus/pci. Device ids are those of virtio 1.2, 4.1.2, the offsets in the
configuration space those of PCI. Standard library only, Python 3.9.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from aerostat.errors import MissingError, PeerError, UsageError
from aerostat.guest.permissions import NoDeviceError, lockdown_error

SYSFS = Path("/sys/bus/pci")

_VENDOR = 0x1AF4
_MODERN, _TRANSITIONAL = 0x1045, 0x1002

# In the configuration space: the command register, the first capability.
_COMMAND = 4
_CAPABILITIES = 0x34
_IO_AND_MEMORY, _BUS_MASTER, _NO_INTERRUPTS = 0x3, 0x4, 0x400
_CONFIG_SIZE = 256

_MSIX = 0x11
_MSIX_CONTROL, _MSIX_ENABLED = 2, 0x8000

_IO_BAR = 0x100  # IORESOURCE_IO, in the third column of `resource`

# No driver has this name, so none binds to a device that is kept for it.
_NOBODY = "aerostat"


class Capability(NamedTuple):
    """A PCI capability: its number, its place in the configuration space, and its bytes."""

    number: int
    place: int
    data: bytes


class Function:
    """One PCI function; `address` is as in ``0000:00:04.0``."""

    def __init__(self, address: str, sysfs: Path = SYSFS) -> None:
        self.address = address
        self._sysfs = sysfs
        self._path = sysfs / "devices" / address
        self.taken = False
        self._driver = ""

    def __repr__(self) -> str:
        return f"<Function {self.address}>"

    # What it is

    @property
    def is_balloon(self) -> bool:
        """Whether it is a virtio balloon, by its ids."""
        ids = self._number("vendor"), self._number("device")
        return ids in {(_VENDOR, _MODERN), (_VENDOR, _TRANSITIONAL)}

    @property
    def is_transitional(self) -> bool:
        """Whether it may have the legacy interface too."""
        return self._number("device") == _TRANSITIONAL

    @property
    def driver(self) -> str:
        """The name of the kernel's driver that has it; empty for none."""
        try:
            return (self._path / "driver").readlink().name
        except OSError:
            return ""

    def is_io_bar(self, bar: int) -> bool:
        """Whether BAR number `bar` is one of I/O ports. Raises `PeerError` if there is none."""
        lines = self._read("resource").splitlines()
        start, end, flags = (int(word, 16) for word in lines[bar].split())
        if not end > start:
            raise PeerError(f"{self.address} has no BAR {bar}")
        return bool(flags & _IO_BAR)

    def has_bar(self, bar: int) -> bool:
        """Whether there is a BAR number `bar`."""
        try:
            self.is_io_bar(bar)
        except PeerError:
            return False
        return True

    def capabilities(self) -> list[Capability]:
        """Return its capabilities, in the device's order."""
        config = self._config(0, _CONFIG_SIZE)
        found: list[Capability] = []
        place = config[_CAPABILITIES] if len(config) > _CAPABILITIES else 0
        # A chain that bites its own tail is longer than the space has room for.
        while 0x40 <= place <= len(config) - 2 and len(found) < _CONFIG_SIZE // 4:
            found.append(Capability(config[place], place, config[place:]))
            place = config[place + 1] & ~3
        return found

    # Taking it, and putting it back

    def take(self) -> None:
        """Take it from the kernel's driver, and let it answer and reach memory.

        The kernel's balloon driver deflates first, which takes its time.
        """
        self._driver = self.driver
        self.taken = True
        # First, so that nobody else gets it in between, by loading a module for instance.
        self._write("driver_override", _NOBODY)
        if self._driver:
            (self._path / "driver/unbind").write_text(self.address)
        self._write("enable", "1")
        # Its interrupts have no handler now, and the line may be shared with other devices.
        self._command(on=_IO_AND_MEMORY | _BUS_MASTER | _NO_INTERRUPTS)
        self._no_msix()

    def keep_from_memory(self) -> None:
        """Let it reach no memory any more, if it was taken, whatever it may want."""
        if self.taken:
            self._command(off=_BUS_MASTER)

    def put_back(self) -> bool:
        """Let the kernel's driver have it again, if it had it before; return whether it has.

        To be called after the device was reset.
        """
        if not self.taken:
            return True
        self.keep_from_memory()
        self.taken = False
        self._command(off=_NO_INTERRUPTS)
        self._write("enable", "0")
        self._write("driver_override", "\n")
        if self._driver:
            (self._sysfs / "drivers_probe").write_text(self.address)
        return self.driver == self._driver

    def _command(self, *, on: int = 0, off: int = 0) -> None:
        command = int.from_bytes(self._config(_COMMAND, 2), "little")
        self._set_config(_COMMAND, command & ~off | on)

    def _no_msix(self) -> None:
        """Switch MSI-X off: it would move a part of the legacy registers (virtio 1.2, 4.1.4.10)."""
        for capability in self.capabilities():
            if capability.number == _MSIX:
                place = capability.place + _MSIX_CONTROL
                control = int.from_bytes(self._config(place, 2), "little")
                self._set_config(place, control & ~_MSIX_ENABLED)

    # Its files

    def map_bar(self, bar: int) -> mmap.mmap:
        """Map a BAR of memory, whole. Raises `MissingError`, or one of its kinds."""
        with self._reaching(bar) as path, path.open("r+b", buffering=0) as file:
            # Its size is the BAR's.
            return mmap.mmap(file.fileno(), 0)

    def open_ports(self, bar: int) -> int:
        """Return a descriptor of a BAR of I/O ports. Raises as `map_bar` does."""
        with self._reaching(bar) as path:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    @contextlib.contextmanager
    def _reaching(self, bar: int) -> Iterator[Path]:
        path = self._path / f"resource{bar}"
        try:
            yield path
        except PermissionError as error:
            raise lockdown_error() from error
        except (OSError, ValueError) as error:
            raise MissingError(f"cannot reach the device's registers, {path}: {error}") from error

    def _config(self, offset: int, size: int) -> bytes:
        with (self._path / "config").open("rb", buffering=0) as file:
            return os.pread(file.fileno(), size, offset)

    def _set_config(self, offset: int, value: int) -> None:
        with (self._path / "config").open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), value.to_bytes(2, "little"), offset)

    def _number(self, name: str) -> int:
        return int(self._read(name), 16)

    def _read(self, name: str) -> str:
        return (self._path / name).read_text()

    def _write(self, name: str, text: str) -> None:
        (self._path / name).write_text(text)


def find_balloons(sysfs: Path = SYSFS) -> list[Function]:
    """Return the balloons of this guest, by address."""
    try:
        names = sorted(path.name for path in (sysfs / "devices").iterdir())
    except OSError:
        return []
    return [function for name in names if (function := Function(name, sysfs)).is_balloon]


def choose_balloon(address: str | None = None, sysfs: Path = SYSFS) -> Function:
    """Return the balloon at `address`, or the only one. Raises `NoDeviceError`, `UsageError`."""
    balloons = find_balloons(sysfs)
    known = ", ".join(function.address for function in balloons)
    if address is None:
        if not balloons:
            raise NoDeviceError("no virtio balloon on this machine's PCI bus: is it a guest?")
        if len(balloons) > 1:
            raise UsageError(f"several balloons ({known}): choose one with --device")
        return balloons[0]
    for function in balloons:
        if function.address in {address, f"0000:{address}"}:
            return function
    raise NoDeviceError(f"no virtio balloon at {address}; there is: {known or 'none'}")
