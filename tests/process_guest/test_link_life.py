"""A guest's whole life in no particular order: nothing is lost, given twice, or forgotten."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.driver_features import KNOWN_FEATURES
from aerostat.process_guest.interface import DriverOptions, State
from aerostat.testing.mocks.still_guest import StillGuest
from aerostat.virtio.features import VERSION_1, has

MIB = 1 << 20
SIZE = 128 * MIB

Device = Any  # of conftest, which cannot be imported


class Life:
    """A guest, its device, and what may happen to them."""

    def __init__(self, source: Random, device: Device, guest: StillGuest) -> None:
        self.source = source
        self.device = device
        self.guest = guest
        self.link = guest.link
        self.target = SIZE
        self.pages = len(guest.kernel.free)

    def live(self) -> None:
        """Let something happen, and look at everything."""
        self.source.choice((self.aim, self.pause, self.reset, self.reload, self.relieve))()
        self.link.wait_for(State.RUNNING, 10)
        self.check()

    def aim(self) -> None:
        self.target = SIZE - self.source.randrange(24) * MIB // 4
        self.device.control.run("balloon", value=self.target)

    def pause(self) -> None:
        self.link.pause()
        self.link.wait_for(State.PAUSED, 10)
        if self.source.random() < 0.5:
            self.aim()
        if self.source.random() < 0.3:
            self.link.unload()
            self.link.load()
        else:
            self.link.resume()

    def reset(self) -> None:
        self.aim()  # so that requests are in flight
        self.link.reset()

    def reload(self) -> None:
        self.link.unload()
        self.link.wait_for(State.UNLOADED, 10)
        features = KNOWN_FEATURES & self.source.randrange(1 << 35)
        options = DriverOptions(features, queue_size=1 << self.source.randrange(9))
        if not has(features, VERSION_1):
            options = options._replace(statistics_first="uninitialised")
        if self.source.random() < 0.5:  # which is of no effect on a modern driver
            options = options._replace(byteorder="big")
        self.link.load(options)

    def relieve(self) -> None:
        self.link.relieve(self.source.randrange(300))
        self.pause()  # while that is under way

    def is_settled(self) -> bool:
        """Whether the balloon, and what the kernel gave, are what the device wants."""
        given = (self.pages - len(self.guest.kernel.free)) * PAGE_SIZE
        return self.link.balloon_size == given == SIZE - self.target

    def check(self) -> None:
        """See that the balloon is what it should be and the guest answers."""
        # A driver that gave pages back in need waits for another wish (5.5.6.1).
        self.aim()
        self.guest.run_until(self.is_settled)
        free = self.guest.kernel.free
        assert len(set(free)) == len(free)
        driver = self.link.driver
        assert driver is not None
        if has(driver.features, 1):
            sent = self.link.counters["statistics"]
            asked = self.device.control.start("aerostat-sample", timeout=10)
            self.guest.run_until(lambda: self.link.counters["statistics"] > sent)
            sample = self.device.control.finish(asked)
            assert sample["fresh"]
            assert sample["stats"]["stat-total-memory"] == 1 << 30
            assert not any(
                sample["counters"][name]
                for name in ("bad_chains", "broken_rings", "outside_pages", "extra_statistics")
            )


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_whatever_happens(
    start_device: Callable[..., Device], plug_in: Callable[..., StillGuest], seed: int
) -> None:
    device = start_device("guest", "--free-page-hint", "--packed-rings")
    guest = plug_in(device.process.socket)
    guest.link.wait_for(State.RUNNING, 10)
    life = Life(Random(seed), device, guest)
    for _ in range(12):
        life.live()
    assert guest.link.counters["unexpected_bases"] == 0
    assert guest.link.counters["refused_config_writes"] == 0
