"""The unit is what systemd reads, is well walled in, and the manager lives behind its walls."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aerostat.cli.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
WALLS = Path(__file__).with_name("walls.py")
# 1.5, in systemd-analyze's tenths.
MOST_EXPOSED = 15


@pytest.fixture
def unit(contrib: Path) -> Path:
    return contrib / "systemd" / "aerostat.service"


@pytest.fixture
def drop_ins() -> dict[str, str]:
    """Return the drop-ins that the documentation shows, by their names."""
    text = (ROOT / "docs" / "service.md").read_text()
    head = "# /etc/systemd/system/aerostat.service.d/"
    return {
        block.partition("\n")[0].removeprefix(head): block
        for block in re.findall(r"```ini\n(.*?)```", text, re.DOTALL)
        if block.startswith(head)
    }


def settings(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


def test_it_starts_what_is_installed(unit: Path) -> None:
    said = settings(unit.read_text())
    script = (ROOT / "install.sh").read_text()
    (start,) = said["ExecStart"]
    places = dict(re.findall(r"^(home|config)=(.*)$", script, re.MULTILINE))

    program, config = places["home"] + "/current/bin/aerostat", places["config"]
    assert start == f"{program} run --config {config}/aerostat.toml"
    assert f"\nu {said['User'][0]} " in (unit.parent / "aerostat.sysusers").read_text()
    rule = (unit.parents[1] / "polkit" / "50-aerostat.rules").read_text()
    assert f'subject.user == "{said["User"][0]}"' in rule


def test_its_walls_leave_what_the_manager_needs(unit: Path) -> None:
    said = settings(unit.read_text())

    # What guests hold is in /proc of other users' processes, the host's memory in the rest of it.
    assert said["ProtectProc"] == ["default"]
    assert said["ProcSubset"] == ["all"]
    # Who is at the other end of a socket is told by their users.
    assert "PrivateUsers" not in said
    # A network of its own would have a loopback of its own, which nobody could scrape.
    assert "PrivateNetwork" not in said
    assert "AF_UNIX" in said["RestrictAddressFamilies"][0].split()


def test_a_wrong_configuration_is_not_tried_again_and_again(unit: Path) -> None:
    (never,) = settings(unit.read_text())["RestartPreventExitStatus"]

    assert {int(status) for status in never.split()} == {ExitCode.BAD_CONFIG, ExitCode.USAGE}


@pytest.mark.slow
def test_it_is_walled_in(unit: Path, find_program: Callable[[str], str]) -> None:
    analyze = find_program("systemd-analyze")
    command = [analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSED}"]
    done = subprocess.run([*command, str(unit)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_systemd_has_nothing_to_say_about_it(
    unit: Path,
    drop_ins: dict[str, str],
    find_program: Callable[[str], str],
    tmp_path: Path,
) -> None:
    analyze = find_program("systemd-analyze")
    # Where it is installed there is the program.
    here = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE)
    (tmp_path / unit.name).write_text(here)
    more = tmp_path / f"{unit.name}.d"
    more.mkdir()
    assert drop_ins
    for name, text in drop_ins.items():
        (more / name).write_text(text)
    verify = subprocess.run(
        [analyze, "verify", "--man=no", tmp_path / unit.name],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in verify.stderr.splitlines() if "aerostat" in line]
    assert (verify.returncode, ours) == (0, [])


@pytest.mark.slow
def test_the_manager_lives_behind_its_walls(
    unit: Path, find_program: Callable[[str], str], tmp_path: Path
) -> None:
    find_program("systemd-analyze")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "aerostat.toml"
    config.write_text(
        f'state_directory = "{tmp_path}"\n'
        f'[api]\nsocket = "{tmp_path}/api"\n'
        f'[metrics]\nenabled = true\nlisten = "127.0.0.1:{port}"\n'
        f'[[connector]]\nkind = "qmp"\nsockets = ["{tmp_path}/none"]\n'
    )
    behind = [sys.executable, str(WALLS), str(unit)]
    run = [sys.executable, "-m", "aerostat", "run", "--config", str(config)]
    done = subprocess.run(
        [*behind, *run, "--for", "1.5", "--json"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["tick"] >= 1
    assert last["journal"] == "ok"
    assert last["problems"] == []


@pytest.mark.slow
def test_those_walls_are_there(unit: Path, find_program: Callable[[str], str]) -> None:
    find_program("systemd-analyze")
    anybody_may = [sys.executable, "-c", "import os; os.nice(1)"]
    subprocess.run(anybody_may, check=True)
    behind = subprocess.run(
        [sys.executable, WALLS, unit, *anybody_may], capture_output=True, text=True, check=False
    )

    assert "PermissionError" in behind.stderr
