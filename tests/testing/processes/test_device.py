"""Device processes of the laboratory, and those that go on in their place."""

from pathlib import Path

import pytest

from aerostat.errors import LinkError
from aerostat.testing.control_client import ControlClient
from aerostat.testing.processes.device import DeviceProcess
from aerostat.units import MIB


async def test_a_take_over_that_fails_leaves_the_first_device_as_it_was(
    run_directory: Path,
) -> None:
    device = DeviceProcess("one", size=64 * MIB, directory=run_directory)
    await device.start()
    try:
        with pytest.raises(LinkError, match="did not take over"):
            await device.successor(within=0.0)
        assert device.alive
        with ControlClient(device.control) as control:
            assert control.run("query-name")["name"] == "one"
        assert device.socket.exists()
    finally:
        await device.stop()
