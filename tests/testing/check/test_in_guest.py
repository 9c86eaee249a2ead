"""The checks from inside a real guest, on QEMU's own balloon, which is put back afterwards."""

import json
import runpy
from pathlib import Path

import pytest

from aerostat.testing.guests.python import PACKAGE, GuestPython, PythonGuest
from aerostat.units import MIB

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(300)]

TOOL = Path(__file__).parents[3] / "tools/pyz.py"
PROGRAM = "aerostat.testing.check.device.in_guest"
# Emulated, with others on the machine, Python takes its time.
SOON = 200.0
WANTED = "PCI,USE-DEV-1,DEV-OP-3,ST-DEV-3,VU-DEV-1"


@pytest.mark.statement("PCI-9", "PCI-11")
async def test_qemu_s_own_balloon_is_checked_and_put_back(run_directory: Path) -> None:
    tool = runpy.run_path(str(TOOL))
    modules = GuestPython.here().compiled(tool["needed"](PROGRAM), tool["SOURCE"])
    guest = PythonGuest(
        "guest",
        size=256 * MIB,
        directory=run_directory,
        balloon="deflate-on-oom=on",
        files={f"{PACKAGE}/{name}": module for name, module in modules.items()},
    )
    await guest.start()
    try:
        command = f"python3 -m {PROGRAM} --as QEMU --only {WANTED} --json"
        ran = await guest.run(f"{command} >/report 2>/said; echo $?; cat /said", within=SOON)
        assert ran.output == "0"
        report = json.loads(await guest.read("/report"))
        outcomes = {one["id"]: one["outcome"] for one in report["statements"]}
        assert outcomes["PCI-9"] in ("deviation", "pass")  # the latter, should QEMU mend it
        assert outcomes["VU-DEV-1"] == "unobservable"
        assert {outcomes[id_] for id_ in ("PCI-11", "USE-DEV-1", "DEV-OP-3", "ST-DEV-3")} == {
            "pass"
        }
        drives = "ls -d /sys/bus/virtio/drivers/virtio_balloon/virtio*"
        assert (await guest.run(drives)).status == 0
        assert (await guest.run("cat /proc/sys/vm/nr_hugepages")).output == "0"
    finally:
        await guest.kill()
