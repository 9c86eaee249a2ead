"""The guest's driver in one file: always the same file, complete, and with nothing else in it."""

import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file that was just made."""
    target = tmp_path_factory.mktemp("pyz") / "aerostat-guest.pyz"
    runpy.run_path(str(ROOT / "tools/pyz.py"))["make"](target)
    return target


def test_made_twice_it_is_the_same(pyz: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.pyz"
    runpy.run_path(str(ROOT / "tools/pyz.py"))["make"](again)

    assert again.read_bytes() == pyz.read_bytes()


def test_it_runs_by_itself(pyz: Path) -> None:
    # Isolated: no package of the machine, nor of this checkout, can help it.
    ran = subprocess.run(
        [sys.executable, "-I", "-S", pyz, "--help"], capture_output=True, text=True, check=True
    )

    assert ran.stdout.startswith("Usage: aerostat guest")


def test_it_has_what_runs_in_guests_and_nothing_else(pyz: Path) -> None:
    names = set(zipfile.ZipFile(pyz).namelist())
    rooms = {name.split("/")[1] for name in names if name.startswith("aerostat/")}

    assert rooms == {"__init__.py", "balloon", "errors.py", "guest", "units.py", "virtio"}
    assert {"aerostat/guest/legacy.py", "LICENSE", "__main__.py"} <= names
    assert "aerostat/balloon/device.py" not in names


@pytest.mark.slow
def test_the_checks_run_by_themselves_too(tmp_path: Path) -> None:
    target = tmp_path / "aerostat-check.pyz"
    runpy.run_path(str(ROOT / "tools/pyz.py"))["make"](target, "check")
    ran = subprocess.run(
        [sys.executable, "-I", "-S", target, "--explain", "PCI-9"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.startswith("PCI-9 (device, MUST)")
    assert not any(name.startswith("aerostat/cli") for name in zipfile.ZipFile(target).namelist())
