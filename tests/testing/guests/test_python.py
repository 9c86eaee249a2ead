"""QEMU guests with Python inside, and what guests with a shell do."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aerostat.errors import MissingError, PeerError, UsageError
from aerostat.testing.guests.python import GuestPython, PythonGuest, package_files
from aerostat.testing.guests.shell import Ran
from aerostat.units import MIB

DATA = bytes(range(256)) * 20


def test_a_system_without_python_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=f"no Python in {tmp_path}"):
        GuestPython.unpacked(tmp_path)


@pytest.fixture
async def guest(run_directory: Path) -> AsyncIterator[PythonGuest]:
    guest = PythonGuest("one", size=256 * MIB, directory=run_directory, files=package_files())
    try:
        await guest.start()
        yield guest
    finally:
        await guest.stop()


@pytest.mark.qemu
async def test_programs_run_in_it_and_files_go_there(guest: PythonGuest) -> None:
    assert await guest.run("echo ' a'; printf b; exit 3") == Ran(3, " a\nb")
    await guest.put("/tmp/below/data", DATA)
    script = "import sys; print(sys.version[:4], sum(open('/tmp/below/data', 'rb').read()))"
    assert await guest.run(f'python3 -c "{script}"') == Ran(
        0, f"{guest.python.version} {sum(DATA)}"
    )
    assert (await guest.run("python3 -c 'import aerostat.balloon.driver'")).status == 0
    assert "No module" in (await guest.run("python3 -c 'import aerostat.engine'")).output

    with pytest.raises(PeerError, match="No such file"):
        await guest.read("/nonsense")
    with pytest.raises(UsageError, match="one line"):
        await guest.run("echo a\necho b")

    sleeper = await guest.begin("sh -c 'echo begun; exec sleep 1000'")
    assert await guest.running(sleeper)
    await guest.signal(sleeper)
    assert await guest.ended(sleeper) == 128 + signal.SIGTERM
    assert not await guest.running(sleeper)
    assert await guest.output(sleeper) == "begun"
