"""Reading guests without a manager: a real device process, whose control socket speaks QMP."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from aerostat.cli import direct
from aerostat.testing.processes.device import DeviceProcess
from aerostat.units import MIB

Call = Callable[..., tuple[int, str, str]]


@pytest_asyncio.fixture
async def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DeviceProcess]:
    monkeypatch.setattr(direct, "_TIMEOUT", 0.5)  # no guest is there to answer the device
    process = DeviceProcess("web", size=256 * MIB, directory=tmp_path)
    await process.start()
    yield process
    await process.stop()


async def test_list(call: Call, device: DeviceProcess) -> None:
    code, out, err = await in_thread(call, "list", "--qmp", device.control)
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[:3] == ["web", "256", "MiB"]


async def test_stats_of_a_guest_that_never_reported(call: Call, device: DeviceProcess) -> None:
    code, out, _ = await in_thread(call, "stats", "web", "--qmp", device.control)
    assert code == 0
    assert out.startswith(f"actual {256 * 1024}\n")
    assert f"max_size {256 * 1024}\n" in out
    assert "usable" not in out
    assert "sample_age" not in out


async def test_stats_as_json(call: Call, device: DeviceProcess) -> None:
    _, out, _ = await in_thread(call, "stats", "web", "--json", "--qmp", device.control)
    assert json.loads(out)["guest"]["max_size"] == 256 * MIB


async def test_a_guest_that_is_not_there(call: Call, device: DeviceProcess) -> None:
    code, _, err = await in_thread(call, "stats", "db", "--qmp", device.control)
    assert (code, err) == (3, "error: no such guest: db; there are: web\n")


def test_no_socket_matches(call: Call, tmp_path: Path) -> None:
    code, _, err = call("list", "--qmp", tmp_path / "*.sock")
    assert code == 3
    assert "no guest listens on" in err


async def in_thread(call: Call, *arguments: object) -> tuple[int, str, str]:
    """Call beside the loop of the test, which the command's own loop must not meet."""
    return await asyncio.to_thread(call, *arguments)


@pytest.mark.libvirt
def test_domains_of_a_libvirt(call: Call) -> None:
    code, out, err = call("list", "--libvirt", "test:///default")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[:3] == ["test", "8.0", "GiB"]

    code, out, _ = call("stats", "test", "--libvirt", "test:///default")
    assert code == 0
    assert f"max_size {8 * 1024 * 1024}\n" in out


@pytest.mark.libvirt
def test_a_libvirt_that_is_not_there(call: Call, tmp_path: Path) -> None:
    code, _, err = call("list", "--libvirt", f"qemu+unix:///system?socket={tmp_path}/none")
    assert code == 1
    assert "libvirt" in err
