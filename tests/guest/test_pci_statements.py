"""The driver over virtio-pci, register by register: what it reads and writes, how, and when."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from aerostat.balloon.abi import Queue
from aerostat.balloon.device import DEFAULT_FEATURES
from aerostat.errors import PeerError
from aerostat.guest import transport
from aerostat.guest.driver import GuestDriver
from aerostat.guest.legacy import LegacyTransport
from aerostat.guest.modern import ModernTransport, Structure, find_structures
from aerostat.guest.pci import Capability
from aerostat.testing.mock_driver import make_memory
from aerostat.units import MIB
from aerostat.virtio.memory import GuestMemory

MULTIPLIER = 4
QUEUE_SIZE = 128
# The widths of the common structure's fields (4.1.4.3); those of 64 bits are two of 32.
COMMON = {
    **dict.fromkeys((0, 4, 8, 12, 32, 36, 40, 44, 48, 52), 4),
    **dict.fromkeys((16, 18, 22, 24, 26, 28, 30), 2),
    **dict.fromkeys((20, 21), 1),
}
LEGACY = {**dict.fromkeys((0, 4, 8, 20, 24, 32), 4), **dict.fromkeys((12, 14, 16), 2), 18: 1, 19: 1}
FEATURES_OK, DRIVER_OK, NEEDS_RESET, FAILED = 8, 4, 64, 128


class Access(NamedTuple):
    """One access; `value` is what was stored, None for a load."""

    where: str
    offset: int
    width: int
    value: int | None


class Registers:
    """The registers of one structure, as memory, except for those that a device answers."""

    def __init__(
        self, where: str, log: list[Access], answers: dict[int, int] | None = None
    ) -> None:
        self.where = where
        self.answers = answers or {}
        self.values: dict[int, int] = {}
        self.log = log

    def load(self, offset: int, width: int) -> int:
        self.log.append(Access(self.where, offset, width, None))
        return self.answers.get(offset, self.values.get(offset, 0))

    def store(self, offset: int, width: int, value: int) -> None:
        self.log.append(Access(self.where, offset, width, value))
        self.values[offset] = value

    def close(self) -> None:
        pass


class Common(Registers):
    """The common structure: features by words, and a reset that takes its time."""

    offered = DEFAULT_FEATURES
    accepts = True
    loads_until_reset = 3

    def load(self, offset: int, width: int) -> int:
        value = super().load(offset, width)
        if offset == 4:
            return self.offered >> 32 * self.values[0] & 0xFFFFFFFF
        if offset == 24:
            return QUEUE_SIZE
        if offset == 30:
            return self.values[22] + 5  # a queue_notify_off that is not the index
        if offset == 20 and value == 0 and self.loads_until_reset:
            self.loads_until_reset -= 1
            return 15
        if offset == 20 and not self.accepts:
            return value & ~FEATURES_OK
        return value


class Modern:
    """A modern device: its structures, and the log of all accesses."""

    def __init__(self) -> None:
        self.log: list[Access] = []
        self.common = Common("common", self.log)
        self.notify = Registers("notify", self.log)
        self.device = Registers("device", self.log)
        registers = {
            Structure.COMMON: self.common,
            Structure.NOTIFY: self.notify,
            Structure.DEVICE: self.device,
        }
        self.transport = ModernTransport(registers, MULTIPLIER)

    def stores(self, where: str, *offsets: int) -> list[int]:
        """Return what was stored at these offsets of a structure, in order."""
        return [
            one.value
            for one in self.log
            if one.where == where and one.offset in offsets and one.value is not None
        ]

    def place(self, where: str, offset: int, value: int) -> int:
        """Return which access stored this first."""
        return next(
            n
            for n, one in enumerate(self.log)
            if (one.where, one.offset, one.value) == (where, offset, value)
        )


class Dma:
    address = 0
    size = 4 * MIB

    def __init__(self) -> None:
        self.memory: GuestMemory = make_memory((0, self.size))


class Nothing:
    """No pages to give, and no need of any."""

    def take(self, wanted: int, most: int) -> list[int]:
        return []

    def moved(self, frames: list[int]) -> int:
        return 0

    def give_back(self, frames: list[int]) -> None:
        assert frames == []

    def spare(self) -> int:
        return 0

    def shortage(self) -> int:
        return 0


def drive(chosen: transport.Transport) -> GuestDriver:
    return GuestDriver(
        chosen, Dma(), Nothing(), Nothing(), lambda _size, _oom: {4: MIB}, lambda _line: None
    )


@pytest.fixture
def modern() -> Modern:
    return Modern()


@pytest.fixture
def driver(modern: Modern) -> GuestDriver:
    driver = drive(modern.transport)
    driver.turn(0.0)
    return driver


# ---- status and features


@pytest.mark.statement("ST-DRV-1", "ST-DRV-2")
def test_the_driver_begins_step_by_step(modern: Modern, driver: GuestDriver) -> None:
    assert modern.stores("common", 20) == [0, 1, 3, 11, 15]
    features_ok, driver_ok = modern.place("common", 20, 11), modern.place("common", 20, 15)
    chosen = [n for n, one in enumerate(modern.log) if one[:2] == ("common", 12)]
    queues = [n for n, one in enumerate(modern.log) if one[:2] == ("common", 28)]
    assert max(chosen) < features_ok < min(queues) <= max(queues) < driver_ok


@pytest.mark.statement("ST-DRV-2")
def test_a_device_that_refuses_is_left_failed(modern: Modern) -> None:
    modern.common.accepts = False
    with pytest.raises(PeerError, match="refuses"):
        drive(modern.transport)
    assert modern.stores("common", 20) == [0, 1, 3, 11, 11 | FAILED]


@pytest.mark.statement("ST-DRV-3", "CFG-G-5")
def test_nothing_is_notified_or_written_before_its_time(
    modern: Modern, driver: GuestDriver
) -> None:
    features_ok, driver_ok = modern.place("common", 20, 11), modern.place("common", 20, 15)
    notified = [n for n, one in enumerate(modern.log) if one.where == "notify"]
    written = [
        n for n, one in enumerate(modern.log) if one.where == "device" and one.value is not None
    ]
    assert notified
    assert min(notified) > driver_ok
    assert written
    assert min(written) > features_ok


@pytest.mark.statement("ST-DRV-4", "CFG-G-2")
@pytest.mark.parametrize("offered", [DEFAULT_FEATURES, 1 << 32, DEFAULT_FEATURES & ~0b110000])
def test_only_what_is_offered_is_taken_and_used(modern: Modern, offered: int) -> None:
    modern.common.offered = offered
    drive(modern.transport).turn(0.0)
    low, high = modern.stores("common", 12)
    assert (high << 32 | low) & ~offered == 0
    # num_pages and actual alone: free page hints and poison are not for it.
    touched = {one.offset for one in modern.log if one.where == "device"}
    assert touched == {0, 4}


@pytest.mark.statement("ST-DRV-5")
def test_a_device_that_needs_a_reset_is_waited_for_no_longer(
    modern: Modern, driver: GuestDriver
) -> None:
    modern.common.values[20] |= NEEDS_RESET
    with pytest.raises(PeerError, match="cannot go on"):
        driver.turn(100.0)


@pytest.mark.statement("CFG-G-1", "LEG-OP-2")
def test_the_configuration_is_accessed_by_whole_fields(modern: Modern, driver: GuestDriver) -> None:
    accesses = [one for one in modern.log if one.where == "device"]
    assert accesses
    assert all(one.width == 4 and one.offset % 4 == 0 for one in accesses)


# ---- PCI


@pytest.mark.statement("PCI-1")
def test_each_field_is_accessed_in_its_own_width(modern: Modern, driver: GuestDriver) -> None:
    accesses = [one for one in modern.log if one.where == "common"]
    assert {one.offset for one in accesses} >= {32, 36, 40, 44, 48, 52}
    assert all(COMMON[one.offset] == one.width for one in accesses)


@pytest.mark.statement("PCI-5")
def test_a_reset_is_waited_for(modern: Modern, monkeypatch: pytest.MonkeyPatch) -> None:
    drive(modern.transport)
    begin = modern.place("common", 20, 0)
    following = [one for one in modern.log[begin + 1 :] if one.offset == 20][:5]
    assert [one.value for one in following] == [None] * 4 + [1]

    modern.common.loads_until_reset = 1 << 30
    monkeypatch.setattr(transport, "_RESET_TIME", 0.01)
    with pytest.raises(PeerError, match="reset"):
        transport.reset(modern.transport)


@pytest.mark.statement("PCI-6", "PCI-7", "PCI-8")
def test_a_queue_is_described_before_it_is_enabled(modern: Modern, driver: GuestDriver) -> None:
    assert set(modern.stores("common", 28)) == {1}
    enabled = [n for n, one in enumerate(modern.log) if one[:2] == ("common", 28)]
    assert len(enabled) == len(driver.driver.queues)
    for end in enabled:
        begin = max(n for n in range(end) if modern.log[n].offset == 22)
        stored = {one.offset for one in modern.log[begin:end] if one.value is not None}
        assert stored == {22, 24, 32, 36, 40, 44, 48, 52}
    sizes = modern.stores("common", 24)
    assert all(size and size & (size - 1) == 0 and size <= QUEUE_SIZE for size in sizes)


@pytest.mark.statement("PCI-13")
def test_a_queue_is_notified_at_its_own_place(modern: Modern, driver: GuestDriver) -> None:
    statistics = Queue.STATS.value
    assert [one for one in modern.log if one.where == "notify"] == [
        Access("notify", (statistics + 5) * MULTIPLIER, 2, statistics)
    ]


class Capabilities:
    """What is asked of a PCI function when its structures are looked for."""

    def __init__(self, *capabilities: bytes) -> None:
        self._capabilities = capabilities

    def capabilities(self) -> list[Capability]:
        return [Capability(9, 0x40 + 24 * n, data) for n, data in enumerate(self._capabilities)]

    def has_bar(self, bar: int) -> bool:
        return bar in {0, 4}

    def is_io_bar(self, bar: int) -> bool:
        return bar == 0


def capability(kind: int, bar: int, offset: int, beyond: bytes = b"") -> bytes:
    numbers = b"".join(number.to_bytes(4, "little") for number in (offset, 0x1000, MULTIPLIER))
    return bytes([9, 0, 20 + len(beyond), kind, bar, 0, 0, 0]) + numbers + beyond


NEEDED = [capability(kind, 4, kind * 0x1000) for kind in (1, 2, 4)]


def offsets(*capabilities: bytes) -> dict[Structure, int]:
    found = find_structures(Capabilities(*capabilities))  # type: ignore[arg-type]
    assert found is not None
    return {kind: place.offset for kind, place in found.items()}


@pytest.mark.statement("PCI-2", "PCI-3", "PCI-4")
@pytest.mark.parametrize(
    "others",
    [
        lambda: [*NEEDED, capability(1, 4, 0x7000)],  # a second one
        lambda: [capability(1, 0, 0x7000), *NEEDED],  # of I/O ports, which cannot be mapped
        lambda: [capability(1, 6, 0x7000), *NEEDED],  # in a reserved BAR
        lambda: [capability(9, 4, 0x7000), capability(0, 4, 0x7000), *NEEDED],  # of reserved kinds
        lambda: [one + bytes(40) for one in NEEDED],  # longer
    ],
    ids=["second", "ports", "reserved BAR", "reserved kind", "longer"],
)
def test_structures_are_the_first_that_can_be_used(others: Callable[[], list[bytes]]) -> None:
    expected = {Structure(kind): kind * 0x1000 for kind in (1, 2, 4)}
    assert offsets(*others()) == expected


# ---- the legacy interface


@pytest.mark.statement("LEG-PCI-1", "LEG-PCI-2", "LEG-VQ-1")
def test_a_legacy_device_is_told_of_page_numbers() -> None:
    log: list[Access] = []
    registers = Registers("legacy", log, {0: 0b111, 12: QUEUE_SIZE})
    driver = drive(LegacyTransport(registers, "little"))
    driver.turn(0.0)

    assert all(LEGACY[one.offset] == one.width for one in log)
    pages = [one.value for one in log if one.offset == 8]
    rings = [driver.driver._lanes[queue].ring for queue in driver.driver.queues]
    assert [page * 4096 for page in pages if page is not None] == [
        ring.layout.desc for ring in rings
    ]
    for ring in rings:
        assert ring.size == QUEUE_SIZE
        assert ring.layout.avail == ring.layout.desc + 16 * QUEUE_SIZE
        assert ring.layout.used == -(-(ring.layout.avail + 6 + 2 * QUEUE_SIZE) // 4096) * 4096
    assert [one.value for one in log if one.offset == 18 and one.value is not None] == [0, 1, 3, 7]
    assert Access("legacy", 24, 4, 0) in log  # the size of the balloon
