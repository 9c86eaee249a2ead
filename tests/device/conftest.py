"""A device process, and its front-end, for tests."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aerostat.testing.control_client import ControlClient
from aerostat.testing.mocks.frontend import SharedFile
from aerostat.testing.processes.device import DeviceProcess

MIB = 1 << 20

# The guest of these tests: 12 MiB with a hole, and in a file that begins with something else.
SPANS = ((0, 4 * MIB), (8 * MIB, 8 * MIB))
OFFSET = 2 * MIB


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """Run what awaits processes: all of it in one loop."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def start_device(tmp_path: Path, runner: asyncio.Runner) -> Iterator[Callable[..., DeviceProcess]]:
    """Start device processes by name and options; they end with the test."""
    devices: list[DeviceProcess] = []

    def start(name: str, *options: str) -> DeviceProcess:
        device = DeviceProcess(name, size=12 * MIB, directory=tmp_path, options=options)
        devices.append(device)
        runner.run(device.start())
        return device

    yield start
    for device in devices:
        runner.run(device.stop())


@pytest.fixture
def device(start_device: Callable[..., DeviceProcess]) -> DeviceProcess:
    return start_device("guest")


@pytest.fixture
def control(device: DeviceProcess) -> Iterator[ControlClient]:
    with ControlClient(device.control) as client:
        yield client


@pytest.fixture
def shared() -> Iterator[SharedFile]:
    memory = SharedFile(SPANS, OFFSET)
    yield memory
    memory.close()
