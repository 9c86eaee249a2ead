"""``aerostat device`` becomes the device process, with the same arguments."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aerostat.cli.main import invoke


class Replaced(BaseException):
    """Stands for a process that has become another."""


def test_it_replaces_itself_with_the_arguments_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def execv(path: str, arguments: list[str]) -> None:
        calls.append((path, arguments))
        raise Replaced

    monkeypatch.setattr(os, "execv", execv)
    with pytest.raises(Replaced):
        invoke(["device", "--socket", "/a b", "--json", "--", "-h"])
    [(path, arguments)] = calls
    assert path == sys.executable
    assert arguments[1:5] == ["-P", "-m", "aerostat.device", "--socket"]
    assert arguments[5:] == ["/a b", "--json", "--", "-h"]


def test_its_help_is_the_devices_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "aerostat", "device", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "--control PATH" in done.stdout


def test_a_directory_of_that_name_is_not_taken_for_the_package(tmp_path: Path) -> None:
    (tmp_path / "aerostat").mkdir()
    (tmp_path / "aerostat" / "__init__.py").write_text("raise SystemExit('wrong package')")
    script = Path(sys.executable).with_name("aerostat")
    done = subprocess.run(
        [script, "device", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
