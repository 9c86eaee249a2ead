"""The reproducers of QEMU's faults, and the table of them: what it says is what is seen."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from aerostat.testing.guests.parts import GET_NEWER, find_part
from aerostat.testing.guests.qemu import find_program
from aerostat.testing.pytest_plugin import optional_part

HERE = Path(__file__).resolve().parents[2] / "contrib" / "qemu"
FAULTS = sorted(path.parent.name for path in HERE.glob("*/reproduce.py"))
OF_THE_DAEMON = "ring_out_of_range"
OF_QEMU = [fault for fault in FAULTS if fault != OF_THE_DAEMON]
STATUS = {"yes": 0, "no": 1}


def table() -> dict[str, dict[str, str]]:
    """Return what the table says of each fault, by version."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in re.findall(r"^\| .* \|$", text, re.MULTILINE)]
    head, *faults = rows
    told = {}
    for name, _, *seen in faults:
        (fault,) = re.findall(r"^\[(\w+)\]\(\1/REPORT\.md\)$", name)
        told[fault] = dict(zip(head[2:], seen, strict=True))
    return told


def test_the_table_has_the_faults_that_there_are() -> None:
    assert sorted(table()) == FAULTS == sorted(path.parent.name for path in HERE.glob("*/*.md"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_report_says_what_a_report_has_to(fault: str) -> None:
    report = (HERE / fault / "REPORT.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", report, re.MULTILINE)

    assert headings == ["Steps", "Expected", "What happens", "Analysis", "Suggested fix"]
    assert report.startswith("# ")
    assert "**Seen with**" in report
    assert f"python contrib/qemu/{fault}/reproduce.py" in report


def reproduces(fault: str, *arguments: str) -> None:
    """Run a reproducer, and hold what comes of it to the table."""
    command = [sys.executable, str(HERE / fault / "reproduce.py"), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    (series,) = re.findall(r"^trying: .* version (\d+\.\d+)\.", run.stdout, re.MULTILINE)
    told = [seen for version, seen in table()[fault].items() if version.startswith(f"{series}.")]
    if not told:
        pytest.skip(f"the table says nothing of QEMU {series}")

    assert run.returncode == STATUS[told[0].split()[0]], run.stdout


@pytest.mark.qemu
@pytest.mark.parametrize("fault", OF_QEMU)
def test_the_usual_qemu_has_the_faults_that_the_table_says(fault: str) -> None:
    reproduces(fault, "--qemu", find_program())


@pytest.mark.qemu
@pytest.mark.parametrize("fault", OF_QEMU)
def test_the_newer_qemu_has_the_faults_that_the_table_says(fault: str) -> None:
    with optional_part():
        program = find_part("qemu11", GET_NEWER)
    reproduces(fault, "--qemu", str(program))


@pytest.mark.qemu
def test_the_usual_daemon_has_the_fault_that_the_table_says() -> None:
    reproduces(OF_THE_DAEMON)
