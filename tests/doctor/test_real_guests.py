"""The doctor at real QEMU guests, and at libvirt's own test guest: what is wrong is found."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aerostat.cli.doctor_visit import Wanted, visit
from aerostat.doctor.findings import Finding, Level
from aerostat.testing.guests.qemu import QemuGuest, find_program
from aerostat.testing.polling import until
from aerostat.units import MIB

# An emulated guest that has just booted, on a busy machine, may not answer for seconds.
VISITS = 5


def bad(findings: list[Finding], subject: str) -> dict[str, Level]:
    """Return the checks of a subject that are not well."""
    return {
        finding.check: finding.level
        for finding in findings
        if finding.subject == subject and finding.level > Level.INFO
    }


@contextlib.asynccontextmanager
async def machine(path: Path, *arguments: str) -> AsyncIterator[None]:
    """Run a QEMU that gets no further than its firmware, with a monitor at `path`."""
    process = await asyncio.create_subprocess_exec(
        *(find_program(), "-nodefaults", "-no-user-config", "-display", "none", "-m", "32M"),
        *("-machine", "q35", "-accel", "tcg,tb-size=16", "-name", path.stem),
        *("-qmp", f"unix:{path},server=on,wait=off", *arguments),
    )
    try:
        await until(path.exists, within=30)
        yield
    finally:
        process.kill()
        await process.wait()


@pytest.mark.qemu
@pytest.mark.timeout(300)
async def test_guests_of_qemu(run_directory: Path) -> None:
    """One guest boots, and loses its driver; two others are only switched on."""
    guest = QemuGuest("web1", size=128 * MIB, directory=run_directory, balloon="deflate-on-oom=off")
    bare, locked = run_directory / "bare.sock", run_directory / "locked.sock"
    balloon = ("-device", "virtio-balloon-pci,deflate-on-oom=on")
    wanted = Wanted(globs=(f"{run_directory}/*.sock",))
    async with (
        machine(bare),
        machine(locked, *balloon, "-overcommit", "mem-lock=on"),
    ):
        try:
            await guest.start()
            for _ in range(VISITS):
                well = await asyncio.to_thread(visit, wanted)
                if "condition" not in bad(well, "web1"):
                    break
            await guest.command("rmmod", "virtio_balloon")
            without = await asyncio.to_thread(visit, wanted)
        finally:
            await guest.stop()

    assert bad(well, "web1") == {"deflate_on_oom": Level.WARNING}
    assert bad(without, "web1")["driver"] is Level.CRITICAL
    assert bad(well, "bare") == {"balloon": Level.CRITICAL}
    assert bad(well, "locked") == {"locked_memory": Level.WARNING, "driver": Level.CRITICAL}
    (sockets,) = (finding for finding in well if finding.check == "sockets")
    assert sockets.text == "3 sockets, and all may be opened"


@pytest.mark.libvirt
def test_libvirts_own_test_guest() -> None:
    """It says of itself that deflate-on-OOM is off, and it has no statistics period."""
    found = visit(Wanted(uris=("test:///default",)))

    assert bad(found, "libvirt test:///default") == {}
    assert bad(found, "test")["deflate_on_oom"] is Level.WARNING
    mends = [finding.mend for finding in found if finding.check == "deflate_on_oom"]
    assert "virsh -c test:///default edit test" in str(mends)
    assert "autodeflate='on'" in str(mends)
