"""Every example runs, and says what it should."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aerostat.testing.laboratory import Laboratory
from aerostat.testing.processes.device import DeviceProcess
from aerostat.units import MIB

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str) -> str:
    """Return what an example prints."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_run_here() -> None:
    programs = {path.name for path in EXAMPLES.glob("*.py")}

    assert programs == {"decide.py", "drive_device.py", "tiny_device.py", "watch_guest.py"}


def test_the_starving_guest_is_fed_at_once_and_the_idle_pay() -> None:
    first, second = run("decide.py").split("at 101 s")

    assert "starving gets 53 MiB at once: it is in distress" in first
    assert "gives" not in first
    assert "sleeper gives 34 MiB: 824 MiB of its 1.0 GiB lie idle" in second
    assert "worker has 800 MiB: it uses 600 MiB" in second


def test_the_tiny_device_samples_and_inflates() -> None:
    lines = run("tiny_device.py").splitlines()

    assert lines == [
        "statistics: free_memory 6291456, available_memory 7340032",
        "asked: the driver got 1 buffer back",
        "statistics: free_memory 5242880, available_memory 6291456, 77 1",
        "notify the driver of its stats queue",
        "punched 1 MiB in one piece",
        "notify the driver of its inflate queue",
        "the balloon has 1 MiB",
        "notify the driver of its inflate queue",
        "outside_pages: 1",
    ]


def test_a_device_is_driven_without_a_vm() -> None:
    lines = run("drive_device.py").splitlines()

    assert lines == [
        "the guest holds 64 MiB",
        "the host asked for 48 MiB; the guest holds 48 MiB",
        # What came back from the balloon is the guest's, and takes nothing until it is used.
        "the host asked for 64 MiB; the guest holds 48 MiB",
    ]


@pytest.mark.slow
async def test_watching_a_device_without_a_guest_says_so(run_directory: Path) -> None:
    device = DeviceProcess("lonely", size=64 * MIB, directory=run_directory)
    await device.start()
    try:
        printed = await asyncio.to_thread(run, "watch_guest.py", f"{run_directory}/*.sock", "3")
    finally:
        await device.stop()

    # A busy machine may need more than the first look to connect.
    assert (
        printed.splitlines()[-1] == "lonely: has 64 MiB and says nothing; has it a balloon driver?"
    )


@pytest.mark.uml
async def test_watching_a_real_guest_prints_its_own_figures(laboratory: Laboratory) -> None:
    await laboratory.start_guest("real", 128 * MIB)
    pattern = f"{laboratory.directory}/*.sock"
    line = (await asyncio.to_thread(run, "watch_guest.py", pattern, "2")).splitlines()[-1]

    assert line.startswith("real: has 128 MiB of 128 MiB, holds ")
    # Linux 6.1 sends eight statistics, 6.12 and later six more.
    assert re.search(r", (8|14) statistics, 0\.\d+ s old", line)
