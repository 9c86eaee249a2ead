"""A driver over the registers of our own device, and the time, which passes when it is told to."""

from collections.abc import Callable
from typing import Any

import pytest

from aerostat.balloon.device import DEFAULT_FEATURES, BalloonDevice
from aerostat.balloon.statistics import Tag
from aerostat.guest.driver import GuestDriver
from aerostat.testing.mocks.pci import FakeBalloon, FakePages, FakeRoom
from aerostat.virtio.features import RING_PACKED, bit

PAGE = 4096


class Rig:
    """A guest's driver on a fake balloon."""

    def __init__(self, interface: str, features: int, **options: Any) -> None:
        if interface == "packed":
            features |= bit(RING_PACKED)
        device = BalloonDevice(max_pages=4096, features=features)
        self.balloon = FakeBalloon(device, **options)
        self.pages = FakePages()
        self.room = FakeRoom()
        self.now = 0.0
        self.said: list[str] = []
        self.collected: list[tuple[int, bool]] = []
        self.interface = interface
        self.driver: GuestDriver

    def start(self) -> "Rig":
        """Initialise the device."""
        balloon = self.balloon
        transport = balloon.legacy() if self.interface == "legacy" else balloon.modern()
        self.driver = GuestDriver(
            transport, balloon.dma, self.pages, self.room, self._collect, self.said.append
        )
        return self

    def _collect(self, balloon_size: int, deflate_on_oom: bool) -> dict[int, int]:
        self.collected.append((balloon_size, deflate_on_oom))
        return {Tag.FREE_MEMORY: len(self.pages.free) * PAGE, Tag.OOM_KILLS: len(self.collected)}

    def run(self, seconds: float = 2.0) -> None:
        """Let time pass, as the driver asks for it."""
        end = self.now + seconds
        while self.now < end:
            self.now += self.driver.turn(self.now)

    def ask(self, pages: int, seconds: float = 2.0) -> None:
        """Set the balloon's target, and let time pass."""
        self.balloon.device.set_target(pages)
        self.run(seconds)

    @property
    def actual(self) -> int:
        """The size that the driver says the balloon has, in pages."""
        return self.balloon.device.config.actual


@pytest.fixture(params=["modern", "legacy", "packed"])
def make_rig(request: pytest.FixtureRequest) -> Callable[..., Rig]:
    """Make a rig of either interface, or with packed rings, not started yet."""

    def make(features: int = DEFAULT_FEATURES, **options: Any) -> Rig:
        return Rig(request.param, features, **options)

    return make


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    """Return a started rig."""
    return make_rig().start()
