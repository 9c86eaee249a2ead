"""What `install.sh` installs: exactly locked, and the very versions that are tested."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from aerostat.daemon import config

ROOT = Path(__file__).resolve().parents[2]
_PIN = re.compile(r"^(?P<pin>[^\s#]+==[^\\]+?) \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+")


def pins(name: str) -> dict[str, set[str]]:
    """Return the versions of each package that a lock names; there may be one a Python."""
    found: dict[str, set[str]] = {}
    for match in re.finditer(_PIN.pattern, (ROOT / name).read_text(), re.MULTILINE):
        pin = Requirement(match["pin"])
        found.setdefault(pin.name, set()).add(str(pin.specifier).removeprefix("=="))
    return found


@pytest.fixture(scope="module")
def runtime() -> dict[str, set[str]]:
    return pins("requirements.txt")


def test_every_line_of_the_lock_has_hashes(runtime: dict[str, set[str]]) -> None:
    text = (ROOT / "requirements.txt").read_text()
    lines = re.findall(r"^[^\s#]\S*", text, re.MULTILINE)

    assert len(lines) == sum(map(len, runtime.values())) > 15


def test_it_has_all_that_the_package_and_its_making_need(runtime: dict[str, set[str]]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["build-system"]["requires"]

    for text in wanted:
        requirement = Requirement(text)
        for version in runtime[requirement.name]:
            assert requirement.specifier.contains(version), text


def test_what_is_installed_is_what_is_tested(runtime: dict[str, set[str]]) -> None:
    tested = pins("requirements-dev.txt")

    assert {name: tested.get(name) for name in runtime} == runtime


def test_the_configuration_that_is_installed_is_right_and_changes_nothing() -> None:
    text = (ROOT / "contrib/aerostat.toml").read_text()
    installed = config.loads(text, "contrib/aerostat.toml")

    assert not installed.manage
    assert [connector.kind for connector in installed.connector] == ["libvirt"]
    # And what it shows as a comment is right, too.
    everything = re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.MULTILINE)
    config.loads(everything.replace('reserve = "10%"', ""), "contrib/aerostat.toml")
    assert everything.count("[[connector]]") == 2


def test_the_script_can_be_read_by_the_shell() -> None:
    subprocess.run(["bash", "-n", ROOT / "install.sh"], check=True)
