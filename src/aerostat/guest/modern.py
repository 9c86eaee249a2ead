"""The modern virtio-pci interface: capabilities and the registers they name (virtio 1.2, 4.1.4).

Touches a device's BARs, each mapped once, by whole accesses of the width of the field (4.1.3.1).
Standard library only, Python 3.9.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable, Mapping
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from aerostat.errors import PeerError
from aerostat.guest.pci import Function
from aerostat.guest.registers import MappedRegisters, Registers
from aerostat.virtio.memory import Byteorder
from aerostat.virtio.ring import RingLayout

_VENDOR_SPECIFIC = 9
_MAX_BAR = 5
# cfg_type and bar, then offset, length, and in one of them a multiplier (4.1.4).
_CAPABILITY = Struct("<3xBB3xII")
_MULTIPLIER = slice(16, 20)

# The common configuration structure (4.1.4.3).
_FEATURE_SELECT, _FEATURE = 0, 4
_GUEST_FEATURE_SELECT, _GUEST_FEATURE = 8, 12
_NUM_QUEUES = 18
_STATUS = 20
_GENERATION = 21
_QUEUE_SELECT = 22
_QUEUE_SIZE = 24
_QUEUE_ENABLE = 28
_QUEUE_NOTIFY_OFFSET = 30
_QUEUE_DESC, _QUEUE_DRIVER, _QUEUE_DEVICE = 32, 40, 48

_WORD = (1 << 32) - 1


class Structure(IntEnum):
    """What a capability is the place of."""

    COMMON = 1
    NOTIFY = 2
    ISR = 3
    DEVICE = 4


class Place(NamedTuple):
    """Where a structure is: `length` bytes of `bar`, from `offset`."""

    bar: int
    offset: int
    length: int
    multiplier: int


def find_structures(function: Function) -> dict[Structure, Place] | None:
    """Return where the device's structures are; None for a device without modern interface.

    Of each kind it is the first that can be used: unknown kinds, reserved BARs and those of I/O
    ports are passed over (4.1.4.1).
    """
    found: dict[Structure, Place] = {}
    for number, _, data in function.capabilities():
        if number != _VENDOR_SPECIFIC or len(data) < _CAPABILITY.size:
            continue
        kind, bar, offset, length = _CAPABILITY.unpack_from(data)
        if kind not in set(Structure) or bar > _MAX_BAR or Structure(kind) in found:
            continue
        if not function.has_bar(bar) or function.is_io_bar(bar):
            continue
        multiplier = int.from_bytes(data[_MULTIPLIER], "little")
        found[Structure(kind)] = Place(bar, offset, length, multiplier)
    needed = {Structure.COMMON, Structure.NOTIFY, Structure.DEVICE}
    return found if needed <= found.keys() else None


class ModernTransport:
    """A device by its structures; `multiplier` is that of queue notification (4.1.4.4)."""

    is_modern = True
    ring_align = 4
    fixed_size = False
    byteorder: Byteorder = "little"

    def __init__(
        self,
        registers: Mapping[Structure, Registers],
        multiplier: int,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._registers = registers
        self._common = registers[Structure.COMMON]
        self._notify = registers[Structure.NOTIFY]
        self._device = registers[Structure.DEVICE]
        self._multiplier = multiplier
        self._close = close
        self._notify_at: dict[int, int] = {}

    def __str__(self) -> str:
        return "modern"

    @classmethod
    def open(cls, function: Function, structures: Mapping[Structure, Place]) -> ModernTransport:
        """Map what `find_structures` found. Raises `MissingError`, `PeerError`."""
        with contextlib.ExitStack() as stack:
            maps: dict[int, mmap.mmap] = {}
            registers = {}
            for kind, place in structures.items():
                if place.bar not in maps:
                    maps[place.bar] = stack.enter_context(function.map_bar(place.bar))
                with memoryview(maps[place.bar]) as view:
                    registers[kind] = MappedRegisters(view, place.offset, place.length)
                stack.callback(registers[kind].close)
            multiplier = structures[Structure.NOTIFY].multiplier
            return cls(registers, multiplier, stack.pop_all().close)

    def status(self) -> int:
        """Return the device status."""
        return self._common.load(_STATUS, 1)

    def set_status(self, status: int) -> None:
        """Set the device status; 0 asks for a reset."""
        self._common.store(_STATUS, 1, status)

    def offered(self) -> int:
        """Return the features that the device offers, of the first 64."""
        features = 0
        for word in (0, 1):
            self._common.store(_FEATURE_SELECT, 4, word)
            features |= self._common.load(_FEATURE, 4) << 32 * word
        return features

    def accept(self, features: int) -> None:
        """Tell the device which features it is to have."""
        for word in (0, 1):
            self._common.store(_GUEST_FEATURE_SELECT, 4, word)
            self._common.store(_GUEST_FEATURE, 4, features >> 32 * word & _WORD)

    def queue_size(self, index: int) -> int:
        """Return how many descriptors queue `index` can have; 0 if there is no such queue."""
        self._common.store(_QUEUE_SELECT, 2, index)
        return self._common.load(_QUEUE_SIZE, 2)

    def start_queue(self, index: int, size: int, layout: RingLayout) -> None:
        """Tell the device where queue `index` is, and start it (4.1.5.1.3)."""
        store = self._common.store
        store(_QUEUE_SELECT, 2, index)
        store(_QUEUE_SIZE, 2, size)
        for register, address in (
            (_QUEUE_DESC, layout.desc),
            (_QUEUE_DRIVER, layout.avail),
            (_QUEUE_DEVICE, layout.used),
        ):
            # 64-bit fields are two of 32 bits (4.1.3.1).
            store(register, 4, address & _WORD)
            store(register + 4, 4, address >> 32)
        self._notify_at[index] = self._common.load(_QUEUE_NOTIFY_OFFSET, 2) * self._multiplier
        store(_QUEUE_ENABLE, 2, 1)

    def notify(self, index: int) -> None:
        """Tell the device that queue `index`, which was started, has something for it."""
        try:
            self._notify.store(self._notify_at[index], 2, index)
        except IndexError:
            raise PeerError("the device's place for notifications is outside its BAR") from None

    def read_config(self, offset: int) -> int:
        """Return a 32-bit field of the balloon's configuration space (2.5.1)."""
        # One access, which is atomic: the generation is for what takes several.
        return self._device.load(offset, 4)

    def write_config(self, offset: int, value: int) -> None:
        """Set a 32-bit field of the balloon's configuration space, in one access."""
        self._device.store(offset, 4, value)

    def num_queues(self) -> int:
        """Return how many queues the device says that it has at most."""
        return self._common.load(_NUM_QUEUES, 2)

    def generation(self) -> int:
        """Return what changes with the configuration space (4.1.4.3)."""
        return self._common.load(_GENERATION, 1)

    def take_interrupt(self) -> int:
        """Return the ISR, and clear it by that: 1 for used buffers, 2 for the configuration."""
        if Structure.ISR not in self._registers:
            raise PeerError("the device has no ISR structure")
        return self._registers[Structure.ISR].load(0, 1)

    def close(self) -> None:
        """Let go of the BARs."""
        self._close()
