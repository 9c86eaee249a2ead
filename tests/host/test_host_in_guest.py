"""The host's rooms on a real cgroup hierarchy and real PSI, which a laboratory guest has."""

import json
from pathlib import Path
from typing import Any

import pytest

import aerostat
from aerostat.testing.guests.python import PACKAGE, GuestPython, PythonGuest
from aerostat.units import MIB

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(300)]

SCRIPT = "opt/look.py"


def host_files(python: GuestPython) -> dict[str, bytes]:
    package = Path(aerostat.__file__).parent
    sources = [package / name for name in ("__init__.py", "errors.py", "units.py")]
    sources += sorted((package / "host").glob("*.py"))
    modules = python.compiled(sources, package.parent)
    return {f"{PACKAGE}/{name}": module for name, module in modules.items()}


async def look(directory: Path) -> dict[str, Any]:
    """Return what `in_guest.py` saw."""
    python = GuestPython.here()
    script = (Path(__file__).parent / "in_guest.py").read_bytes()
    files = {SCRIPT: script, **host_files(python)}
    guest = PythonGuest(
        "host", size=384 * MIB, directory=directory, files=files, arguments=["psi=1"], python=python
    )
    try:
        await guest.start()
        ran = await guest.run(f"python3 /{SCRIPT}", within=200)
    finally:
        await guest.stop()
    assert ran.status == 0, ran.output
    seen: dict[str, Any] = json.loads(ran.output)
    return seen


async def test_a_real_host(run_directory: Path) -> None:
    """One guest for all: it takes most of a minute to get there."""
    seen = await look(run_directory)
    slice_path = "/sys/fs/cgroup/machine.slice"

    # An empty group has no limits; it is found by name and by path.
    assert seen["empty"]["high"] is seen["empty"]["max"] is None
    assert seen["empty"]["current"] <= MIB
    assert seen["whole_path"] == slice_path
    check_backstop(seen["backstop"])
    check_held(seen["held"], slice_path)
    check_pressure(seen["pressure"])
    # Everything that a host can tell this one told.
    assert seen["none"] == ["cgroup"]
    assert seen["nodes"] == 1


def check_backstop(seen: dict[str, Any]) -> None:
    """The operator's limit counts, also after a manager that was killed, and is put back."""
    assert seen["limit"] == seen["limit_after"] == 150 * MIB
    assert seen["budget"] == pytest.approx(118 * MIB, abs=2 * MIB)
    assert seen["set"] == seen["file"] == seen["set_after"] == 118 * MIB
    assert seen["restored"] == 150 * MIB
    assert seen["mark"] == []


def check_held(seen: dict[str, Any], slice_path: str) -> None:
    """A process is measured alone, by its group and by its file, which counts once for two."""
    assert seen["own_path"] == f"{slice_path}/own"
    assert 32 * MIB <= seen["own_cgroup"] <= 36 * MIB
    # Its RSS also has what it got from its parent, which is charged to the parent's group.
    assert seen["own_rss"] > seen["own_cgroup"]
    assert seen["shared_files"] == [24 * MIB, 24 * MIB]
    assert seen["shared_together"] == sum(seen["shared_alone"]) + 24 * MIB
    assert seen["two_in_a_group"] is None


def check_pressure(seen: dict[str, Any]) -> None:
    """Nothing is said at rest; under a fill the kernel gives word to an event loop, and without."""
    before, after = seen["pressure"]
    assert not seen["at_rest"]
    assert seen["group_fired"]
    assert seen["host_fired"]
    assert before < after <= 1
    # Its trigger is quiet, the host goes on without it, and has its backstop when it is back.
    assert seen["of_a_group_that_is_gone"] == [False, False, True, True, True]
