"""The driver over virtio-pci: in which order it touches a device's registers, and how."""

import pytest

from aerostat.balloon.device import BalloonDevice
from aerostat.errors import PeerError
from aerostat.guest import transport
from aerostat.guest.driver import GuestDriver
from aerostat.guest.transport import Transport
from aerostat.testing.mocks.pci import FakeBalloon, FakePages, FakeRoom

QUEUE_REGISTERS = {
    *("queue_select", "queue_size", "queue_enable"),
    *("desc", "desc_high", "avail", "avail_high", "used", "used_high"),
}
FEATURES_OK, DRIVER_OK, FAILED = 8, 4, 128


class ReadingsDevice(BalloonDevice):
    """A device that notes what is read of its configuration space: (offset, size)."""

    def __init__(self) -> None:
        super().__init__(max_pages=4096)
        self.readings: list[tuple[int, int]] = []

    def read_config(self, offset: int, size: int) -> bytes:
        self.readings.append((offset, size))
        return super().read_config(offset, size)


class SlowBalloon(FakeBalloon):
    """A balloon whose reset takes a while: so many looks at its status."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def _load(self, name: str) -> int:
        if name == "status" and self.looks:
            self.looks -= 1
            return 15
        return super()._load(name)


def drive(balloon: FakeBalloon, chosen: Transport) -> GuestDriver:
    return GuestDriver(
        chosen, balloon.dma, FakePages(), FakeRoom(), lambda _size, _oom: {4: 1}, lambda _line: None
    )


@pytest.mark.statement("ST-DRV-2")
def test_a_device_that_refuses_is_left_failed() -> None:
    balloon = FakeBalloon()
    balloon.refuse_features = True
    with pytest.raises(PeerError, match="refuses"):
        drive(balloon, balloon.modern())

    assert balloon.statuses == [0, 1, 3, 11, 11 | FAILED]


@pytest.mark.statement("ST-DRV-3", "CFG-G-5")
def test_nothing_is_notified_or_configured_before_its_time() -> None:
    balloon = FakeBalloon()
    drive(balloon, balloon.modern()).turn(0.0)
    names = [name for name, _ in balloon.writes]
    statuses = [place for place, name in enumerate(names) if name == "status"]
    settled, ready = statuses[-2:]

    assert balloon.writes[settled][1] & FEATURES_OK
    assert balloon.writes[ready][1] & DRIVER_OK
    assert names.index("notified") > ready
    assert names.index("config+4/4") > settled


@pytest.mark.statement("CFG-G-1", "CFG-G-2")
@pytest.mark.parametrize("interface", ["modern", "legacy"])
def test_one_field_of_32_bits_is_all_that_is_ever_read(interface: str) -> None:
    device = ReadingsDevice()
    balloon = FakeBalloon(device)
    driver = drive(balloon, getattr(balloon, interface)())
    for now in range(10):
        device.set_target(now)
        driver.turn(float(now))

    assert set(device.readings) == {(0, 4)}


@pytest.mark.statement("PCI-5")
def test_a_reset_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    balloon = SlowBalloon(3)
    transport.reset(balloon.modern())
    assert balloon.looks == 0

    monkeypatch.setattr(transport, "_RESET_TIME", 0.01)
    with pytest.raises(PeerError, match="reset"):
        transport.reset(SlowBalloon(1 << 30).modern())


@pytest.mark.statement("PCI-6", "PCI-7", "PCI-8")
@pytest.mark.parametrize("most", [2, 8, 128])
def test_a_queue_is_described_whole_before_it_is_enabled(most: int) -> None:
    balloon = FakeBalloon(queue_size=most)
    driver = drive(balloon, balloon.modern())
    written = [(name, value) for name, value in balloon.writes if name in QUEUE_REGISTERS]

    enabled = [place for place, (name, _) in enumerate(written) if name == "queue_enable"]
    assert len(enabled) == len(driver.driver.queues)
    assert {written[place][1] for place in enabled} == {1}
    for place in enabled:
        selected = max(n for n in range(place) if written[n][0] == "queue_select")
        assert {name for name, _ in written[selected : place + 1]} == QUEUE_REGISTERS
    sizes = {value for name, value in written if name == "queue_size"}
    assert all(0 < size <= most and size & (size - 1) == 0 for size in sizes)
