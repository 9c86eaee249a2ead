"""Guests as a load: all of them answer, and what they did is told."""

import asyncio
from pathlib import Path

import pytest

from aerostat.errors import LinkError
from aerostat.testing.control_client import ControlClient
from aerostat.testing.mocks.guest_load import GuestLoad
from aerostat.testing.processes.device import DeviceProcess

MIB = 1 << 20


async def test_each_sample_of_each_guest_counts(tmp_path: Path) -> None:
    devices = [DeviceProcess(name, size=MIB, directory=tmp_path) for name in ("one", "two")]
    await asyncio.gather(*(device.start() for device in devices))
    with GuestLoad(MIB, [str(device.socket) for device in devices]) as load:
        before = load.work()
        assert before.samples == 2  # which nobody asked for
        for device in devices:
            with ControlClient(device.control) as control:
                assert control.sample()["fresh"]
        after = load.work()
        assert after.samples == 4
        assert after.processor_seconds > before.processor_seconds
    for device in devices:
        await device.stop()


def test_guests_without_a_device_are_no_load(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(LinkError, match="gone"):
        GuestLoad(MIB, [str(tmp_path / "nothing")])
    assert "no device at" in capfd.readouterr().err
