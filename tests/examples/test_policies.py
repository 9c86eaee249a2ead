"""The example of a policy is a package that can be built, is found, and passes its own tests."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "policies"


def run(directory: Path, *arguments: str | Path) -> str:
    """Return what Python prints in a directory in which packages are."""
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_package_is_built_found_and_passes_its_tests(tmp_path: Path) -> None:
    source, installed = tmp_path / "source", tmp_path / "installed"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    installed.mkdir()
    run(source, "-m", "hatchling", "build", "-t", "wheel")
    (wheel,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(installed)
    shutil.copy(source / "test_headroom.py", installed)

    assert sorted(path.name for path in installed.glob("*.py")) == [
        "headroom.py",
        "test_headroom.py",
    ]
    told = run(installed, "-m", "aerostat.testing.policies", "guarded:headroom:part=0.5")
    assert "BROKEN" not in told
    assert " passed" in run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", installed)
