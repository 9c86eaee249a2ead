"""A virtio-pci balloon without PCI: its registers over our own device.

For tests of the driver that runs in real guests (`aerostat.guest`): the whole of it, against our
device, in one process, by its modern or its legacy registers (virtio 1.2, 4.1.4). The registers
are as strict as QEMU's: an access of another width than the field's, or at no field's offset, is
an `AssertionError`; so is what a driver must not do, such as notifying before DRIVER_OK. Touches
memory only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aerostat.balloon.abi import Queue
from aerostat.balloon.device import BalloonDevice, StatisticsArrived
from aerostat.balloon.driver_features import queue_numbers
from aerostat.guest.legacy import LegacyTransport
from aerostat.guest.modern import ModernTransport, Structure
from aerostat.guest.registers import Registers
from aerostat.testing.mocks.driver import make_memory
from aerostat.units import MIB
from aerostat.virtio.driver_ring import lay_out
from aerostat.virtio.features import RING_PACKED, has
from aerostat.virtio.memory import GuestMemory
from aerostat.virtio.packed_ring import PackedRing
from aerostat.virtio.ring import DeviceSide
from aerostat.virtio.split_ring import SplitRing

MULTIPLIER = 4
_PAGE = 4096

_COMMON = {
    (0, 4): "feature_select",
    (4, 4): "feature",
    (8, 4): "guest_feature_select",
    (12, 4): "guest_feature",
    (16, 2): "config_vector",
    (18, 2): "num_queues",
    (20, 1): "status",
    (21, 1): "generation",
    (22, 2): "queue_select",
    (24, 2): "queue_size",
    (26, 2): "queue_vector",
    (28, 2): "queue_enable",
    (30, 2): "queue_notify_off",
    (32, 4): "desc",
    (36, 4): "desc_high",
    (40, 4): "avail",
    (44, 4): "avail_high",
    (48, 4): "used",
    (52, 4): "used_high",
}
_LEGACY = {
    (0, 4): "legacy_features",
    (4, 4): "legacy_guest_features",
    (8, 4): "queue_pfn",
    (12, 2): "queue_size",
    (14, 2): "queue_select",
    (16, 2): "notify",
    (18, 1): "status",
    (19, 1): "isr",
}
_LEGACY_CONFIG = 20


@dataclass
class _QueueState:
    size: int
    addresses: dict[str, int] = field(default_factory=dict)
    enabled: bool = False


class FakeBalloon:
    """A PCI balloon over `device`; its guest has `memory`, of which `dma` is for the rings.

    `writes` are the stores to named registers, in order: what a driver did. With `hold` the
    device does not serve what it is notified of until `serve`.
    """

    def __init__(self, device: BalloonDevice | None = None, *, queue_size: int = 128) -> None:
        self.device = device or BalloonDevice(max_pages=16 * MIB // _PAGE)
        self.memory = make_memory((MIB, 2 * MIB), (16 * MIB, 16 * MIB))
        self.dma = FakeDma(MIB, 2 * MIB, self.memory)
        self.status = 0
        self.interrupts = 0
        self.generation = 0
        self.refuse_features = False
        self.hold = False
        self.writes: list[tuple[str, int]] = []
        self.statistics: list[dict[int, int]] = []
        self.held: set[int] = set()
        numbers = queue_numbers(self.device.features, self.device.features)
        self.queues = {number: queue for queue, number in numbers.items()}
        self._size = queue_size
        self._registers: dict[str, int] = {}
        self._states: dict[int, _QueueState] = {}
        self._reset()

    # The two interfaces

    def modern(self) -> ModernTransport:
        """Return the device as a modern driver sees it."""
        registers: dict[Structure, Registers] = {
            Structure.COMMON: _Fields(_COMMON, self._load, self._store),
            Structure.NOTIFY: _Notify(self._notify),
            Structure.DEVICE: _Config(self, 0),
            Structure.ISR: _Fields({(0, 1): "isr"}, self._load, self._store),
        }
        return ModernTransport(registers, MULTIPLIER)

    def legacy(self) -> LegacyTransport:
        """Return the device as a legacy driver sees it."""
        fields = _Fields(_LEGACY, self._load, self._store, _Config(self, _LEGACY_CONFIG))
        return LegacyTransport(fields, "little")

    # The device at work

    def serve(self) -> None:
        """Work on every queue; note statistics, and which pages the device has."""
        for queue in self.queues.values():
            for event in self.device.service(queue):
                if isinstance(event, StatisticsArrived):
                    self.statistics.append(event.statistics)
                    continue
                frames = {
                    (region.guest_address + offset + done) // _PAGE
                    for region, offset, length in event.pieces
                    for done in range(0, length, _PAGE)
                }
                if queue is Queue.INFLATE:
                    assert not frames & self.held, "a page was inflated twice"
                    self.held |= frames
                elif queue is Queue.DEFLATE:
                    assert frames <= self.held, "a page was deflated that is not in the balloon"
                    self.held -= frames
                self.device.complete(event)
                self.interrupts |= 1

    @property
    def statuses(self) -> list[int]:
        """What was written to the status register, in order."""
        return [value for name, value in self.writes if name == "status"]

    # Registers

    def _load(self, name: str) -> int:
        state = self._states.get(self._registers["queue_select"])
        word = 32 * self._registers["feature_select"]
        if name == "isr":
            taken, self.interrupts = self.interrupts, 0
            return taken
        values = {
            "num_queues": len(self.queues),
            "generation": self.generation,
            "status": self.status,
            "feature": self.device.features >> word & 0xFFFFFFFF,
            "legacy_features": self.device.features & 0xFFFFFFFF,
            "queue_size": state.size if state else 0,
            "queue_notify_off": self._registers["queue_select"],
        }
        return values[name]

    def _store(self, name: str, value: int) -> None:
        self.writes.append((name, value))
        self._registers[name] = value
        actions: dict[str, Callable[[int], None]] = {
            "status": self._set_status,
            "guest_feature": self._accept_word,
            "legacy_guest_features": self._accept,
            "queue_size": self._resize,
            "queue_enable": self._enable,
            "queue_pfn": self._enable_legacy,
            "notify": self._notify,
        }
        actions.get(name, self._note_address)(value)

    def _set_status(self, status: int) -> None:
        if status == 0:
            self._reset()
            return
        assert self.status & ~status == 0, "a driver must not clear status bits (2.1.1)"
        if status & 8 and not self.status & 8 and self.refuse_features:
            status &= ~8
        self.status = status
        if status & 4:
            self.serve()  # what was made available before

    def _reset(self) -> None:
        self.status = self.interrupts = 0
        self.device.reset()
        self.held.clear()
        self._accepted = 0
        self._registers = dict.fromkeys((*_COMMON.values(), *_LEGACY.values()), 0)
        self._states = {number: _QueueState(self._size) for number in self.queues}

    def _accept_word(self, value: int) -> None:
        self._accepted |= value << 32 * self._registers["guest_feature_select"]
        self._accept(self._accepted)

    def _accept(self, features: int) -> None:
        assert not self.status & 8, "features were settled (3.1.1)"
        assert self.device.accept(features), "a driver must not take what is not offered"

    def _note_address(self, value: int) -> None:
        """Note a part of a ring's address; other registers without effect come here too."""

    def _resize(self, size: int) -> None:
        self._selected().size = size

    def _selected(self) -> _QueueState:
        return self._states[self._registers["queue_select"]]

    def _enable(self, value: int) -> None:
        assert value == 1, "a driver must not write 0 to queue_enable (4.1.4.3.2)"
        registers = self._registers
        places = [
            registers[name] | registers[f"{name}_high"] << 32 for name in ("desc", "avail", "used")
        ]
        self._start(self._selected().size, places)

    def _enable_legacy(self, page: int) -> None:
        layout = lay_out(page * _PAGE, self._size, _PAGE)
        self._start(self._size, [layout.desc, layout.avail, layout.used])

    def _start(self, size: int, places: list[int]) -> None:
        assert not self.status & 4, "queues are set up before DRIVER_OK (3.1.1)"
        state = self._selected()
        assert not state.enabled
        state.enabled = True
        queue = self.queues[self._registers["queue_select"]]
        desc, driver, device = places
        ring: DeviceSide
        if has(self.device.negotiated, RING_PACKED):
            ring = PackedRing(self.memory, size, desc, driver, device)
        else:
            ring = SplitRing(self.memory, size, desc, driver, device)
        self.device.start(queue, ring)

    def _notify(self, number: int) -> None:
        assert self.status & 4, "no notification before DRIVER_OK (3.1.1)"
        assert self._states[number].enabled
        self.writes.append(("notified", number))
        if not self.hold:
            self.serve()


@dataclass
class FakeDma:
    """Memory for rings, as `guest.dma.DmaPage`."""

    address: int
    size: int
    memory: GuestMemory


class FakePages:
    """Pages of the fake guest's memory, as `guest.pages.BalloonPages`; `free` are those left."""

    lag = 0.0

    def __init__(self, count: int = 4096) -> None:
        first = 16 * MIB // _PAGE
        self.free = list(range(first, first + count))

    def take(self, wanted: int, most: int) -> list[int]:
        """Return the frames of at most `most` pages."""
        return [self.free.pop() for _ in range(min(wanted, most, len(self.free)))]

    def moved(self, frames: list[int]) -> int:
        """Return how many pages are no longer where they were: none."""
        return 0 * len(frames)

    def give_back(self, frames: list[int]) -> None:
        """Take pages back."""
        assert not set(frames) & set(self.free), "a page came back twice"
        self.free += frames


@dataclass
class FakeRoom:
    """What a guest can spare and lacks, in bytes, as `guest.room.Room`."""

    free: int = 1 << 30
    lacking: int = 0

    def spare(self) -> int:
        """Return the bytes that can be taken now."""
        return self.free

    def shortage(self) -> int:
        """Return the bytes that the guest should get back."""
        return self.lacking


class _Fields:
    """Registers by offset and width; from `_LEGACY_CONFIG` on, those of `beyond`."""

    def __init__(
        self,
        names: Mapping[tuple[int, int], str],
        load: Callable[[str], int],
        store: Callable[[str, int], None],
        beyond: "_Config | None" = None,
    ) -> None:
        self._names = names
        self._load = load
        self._store = store
        self._beyond = beyond

    def load(self, offset: int, width: int) -> int:
        """Return a register."""
        if self._beyond and offset >= _LEGACY_CONFIG:
            return self._beyond.load(offset, width)
        assert (offset, width) in self._names, f"no field of {width} bytes at {offset}"
        return self._load(self._names[offset, width])

    def store(self, offset: int, width: int, value: int) -> None:
        """Set a register."""
        if self._beyond and offset >= _LEGACY_CONFIG:
            self._beyond.store(offset, width, value)
            return
        assert (offset, width) in self._names, f"no field of {width} bytes at {offset}"
        assert 0 <= value < 1 << 8 * width
        self._store(self._names[offset, width], value)

    def close(self) -> None:
        """Do nothing."""


class _Config:
    """The device's configuration space, `start` bytes into the registers."""

    def __init__(self, balloon: FakeBalloon, start: int) -> None:
        self._balloon = balloon
        self._start = start

    def load(self, offset: int, width: int) -> int:
        """Return a field."""
        return int.from_bytes(
            self._balloon.device.read_config(offset - self._start, width), "little"
        )

    def store(self, offset: int, width: int, value: int) -> None:
        """Set a field."""
        assert self._balloon.status & 2, "no configuration before there is a driver (3.1.1)"
        self._balloon.writes.append((f"config+{offset - self._start}/{width}", value))
        self._balloon.device.write_config(offset - self._start, value.to_bytes(width, "little"))

    def close(self) -> None:
        """Do nothing."""


class _Notify:
    """The notification structure: 16 bits at the queue's own place."""

    def __init__(self, notify: Callable[[int], None]) -> None:
        self._notify = notify

    def load(self, offset: int, width: int) -> int:
        """Fail: there is nothing to read."""
        raise AssertionError(f"read of {width} bytes at {offset} of the notification structure")

    def store(self, offset: int, width: int, value: int) -> None:
        """Notify."""
        assert (offset, width) == (value * MULTIPLIER, 2)
        self._notify(value)

    def close(self) -> None:
        """Do nothing."""
