"""``aerostat doctor``: through a running manager, directly, and when nothing can be found out."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aerostat.cli import doctor_facts as facts
from aerostat.doctor.checks import CHECKS
from aerostat.testing.processes.device import DeviceProcess
from aerostat.units import MIB

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no rates of the host's counters, and wait for none."""
    monkeypatch.setattr(facts, "_BETWEEN", 0.0)


def told(out: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what was found, by subject and check; each is a check that the docs know."""
    findings = json.loads(out)["findings"]
    assert {finding["check"] for finding in findings} <= CHECKS.keys()
    return {(finding["subject"], finding["check"]): finding for finding in findings}


def test_through_a_running_manager(call: Call, socket: Path) -> None:
    code, out, err = call("doctor", "--json", "--socket", socket)
    found = told(out)

    assert err == ""
    assert found["manager", "running"]["level"] == "ok"
    assert found["manager", "mode"]["text"] == "it moves balloons"
    assert found["host", "memory"]["text"].endswith("are available")
    assert found["web", "balloon"]["level"] == "ok"
    # The twins have never said anything.
    assert found["twin", "driver"]["level"] == "critical"
    assert "modprobe" in found["twin", "driver"]["mend"]
    assert code == json.loads(out)["status"] == 2


def test_one_guest(call: Call, socket: Path) -> None:
    code, out, _ = call("doctor", "web", "--json", "--socket", socket)

    assert {subject for subject, _ in told(out)} == {"web"}
    # It tells neither what it has available in newer ways nor of swap; that is no fault.
    assert code == 0


@pytest.mark.parametrize("socket", [False], indirect=True)
def test_a_manager_that_observes(call: Call, socket: Path) -> None:
    _, out, _ = call("doctor", "--json", "--socket", socket)
    assert "manage = true" in told(out)["manager", "mode"]["mend"]


def test_in_words(call: Call, socket: Path) -> None:
    _, out, _ = call("doctor", "--socket", socket)
    lines = out.splitlines()

    assert {"host", "manager", "web", "twin"} <= set(lines)
    assert any(line.startswith("  ✖ driver") for line in lines)
    assert lines[-1].split()[1:3] == ["checks:", "2"]

    _, quiet, _ = call("doctor", "--quiet", "--socket", socket)
    assert "✔" not in quiet
    assert "✖ driver" in quiet


def test_no_manager(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aerostat.daemon.paths.config_file", lambda: tmp_path / "none.toml")
    code, out, _ = call("doctor", "--json", "--socket", tmp_path / "none.sock")
    running = told(out)["manager", "running"]

    assert running["level"] == "warning"
    assert "systemctl" in running["mend"]
    assert code >= 1


def test_a_bad_configuration(call: Call, tmp_path: Path) -> None:
    config = tmp_path / "aerostat.toml"
    config.write_text("manage = true\nintervall = 1\n")
    code, out, _ = call(
        *("doctor", "--json", "--socket", tmp_path / "none.sock", "--config", config)
    )
    found = told(out)["manager", "config"]

    assert code == 2
    assert f"{config}:2: intervall" in found["text"]


def test_no_socket(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("doctor", "--json", "--qmp", tmp_path / "*.qmp")
    assert code == 2
    assert told(out)[f"qmp {tmp_path}/*.qmp", "sockets"]["level"] == "critical"


def test_what_cannot_be_found_out(call: Call, socket: Path) -> None:
    code, out, err = call("doctor", "nobody", "--socket", socket)
    assert (code, out) == (3, "")
    assert err == "error: no such guest: nobody; there are: twin, web\n"


async def test_directly(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device process without a guest: a socket that is well, and nobody behind it."""
    monkeypatch.setattr(facts, "_GUEST_LIMIT", 0.5)  # nobody is there to answer
    device = DeviceProcess("web", size=256 * MIB, directory=tmp_path)
    await device.start()
    try:
        arguments = ("doctor", "--json", "--qmp", device.control)
        code, out, _ = await asyncio.to_thread(call, *arguments)
    finally:
        await device.stop()
    found = told(out)

    assert code == json.loads(out)["status"]
    assert found[f"qmp {device.control}", "sockets"]["level"] == "ok"
    assert found["web", "power"]["text"] == "it does not run, or is paused"
    assert found["host", "promised"]["text"].startswith("guests may have 256 MiB at most")
