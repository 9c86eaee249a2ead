"""The driver on the oldest Python that it is written for, in a real guest."""

from functools import partial
from pathlib import Path

import pytest

from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.parts import find_part
from aerostat.testing.guests.python import GuestPython, PythonGuest, package_files
from aerostat.testing.polling import until
from aerostat.testing.pytest_plugin import optional_part
from aerostat.units import MIB

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(180)]

SIZE = 256 * MIB
SMALL = SIZE - 32 * MIB
GET_IT = "make lab-python39"


def has_become(qemu: ControlClient, size: int) -> bool:
    return bool(qemu.run("query-balloon")["actual"] == size)


@pytest.mark.parametrize("interface", ["", "--legacy"], ids=["modern", "legacy"])
async def test_the_driver_runs_on_it(run_directory: Path, interface: str) -> None:
    with optional_part():
        python = GuestPython.unpacked(find_part("python3.9", GET_IT))
    files = package_files(python)
    guest = PythonGuest("old", size=SIZE, directory=run_directory, python=python, files=files)
    try:
        await guest.start()
        assert (await guest.run("python3 --version")).output.startswith("Python 3.9.")
        driver = await guest.begin(f"python3 -W error -m aerostat.guest {interface}")
        with ControlClient(guest.control) as qemu:

            async def drives() -> bool:
                return "interface" in await guest.output(driver)

            await until(drives, within=60.0)
            for size in (SMALL, SIZE):
                qemu.run("balloon", value=size)
                qemu.wait_until(partial(has_become, qemu, size))
            qemu.set("guest-stats-polling-interval", 1)
            total = (await guest.counters())["meminfo"]["MemTotal"]
            await until(lambda: qemu.get("guest-stats")["stats"]["stat-total-memory"] == total)
        await guest.signal(driver)
        assert await guest.ended(driver) == 0, await guest.output(driver)
    finally:
        await guest.stop()
