"""Device processes, and guests of this process that plug into them."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from aerostat.device.loop import Loop
from aerostat.process_guest.interface import DriverOptions
from aerostat.testing.control_client import ControlClient
from aerostat.testing.descriptors import open_descriptors
from aerostat.testing.mocks.still_guest import StillGuest
from aerostat.testing.processes.device import DeviceProcess

MIB = 1 << 20
SIZE = 128 * MIB


class Device(NamedTuple):
    """A device process and its control socket."""

    process: DeviceProcess
    control: ControlClient
    kill: Callable[[], None]


@pytest.fixture
def start_device(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    """Start devices of `SIZE` by name; they end with the test."""
    devices: list[Device] = []
    with asyncio.Runner() as runner:

        def start(name: str = "guest", *options: str) -> Device:
            process = DeviceProcess(name, size=SIZE, directory=tmp_path, options=options)
            runner.run(process.start())
            device = Device(
                process, ControlClient(process.control), lambda: runner.run(process.kill())
            )
            devices.append(device)
            return device

        yield start
        for device in devices:
            device.control.close()
            runner.run(device.process.stop())


@pytest.fixture
def device(start_device: Callable[..., Device]) -> Device:
    return start_device()


def of_guests() -> set[str]:
    """Return the open descriptors that are guests'. (A socket that is lost warns by itself.)"""
    return open_descriptors("memfd:") | open_descriptors("[eventfd]")


@pytest.fixture
def loop() -> Iterator[Loop]:
    before = of_guests()
    loop = Loop()
    yield loop
    loop.close()
    assert of_guests() == before


@pytest.fixture
def plug_in(loop: Loop) -> Iterator[Callable[..., StillGuest]]:
    """Make guests: at a path, with regions of memory and a driver, of 128 MiB if nobody says."""
    guests: list[StillGuest] = []

    def plug(
        path: object,
        options: DriverOptions | None = None,
        spans: tuple[tuple[int, int], ...] = ((0, SIZE),),
        *,
        timeout: float = 10.0,
        offset: int = 0,
    ) -> StillGuest:
        guest = StillGuest(loop, path, spans, options, timeout=timeout, offset=offset)
        guests.append(guest)
        return guest

    yield plug
    for guest in guests:
        guest.close()
