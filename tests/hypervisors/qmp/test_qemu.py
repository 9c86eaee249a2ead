"""The QMP connector and the monitors of a real QEMU (no guest runs in it)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aerostat.errors import LinkError
from aerostat.hypervisors.base import GuestInfo, Reading
from aerostat.hypervisors.qmp import connector as qmp
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.hypervisors.qmp.link import Ask, open_link
from aerostat.testing.guests.parts import GET_NEWER, find_part
from aerostat.testing.guests.qemu import find_program
from aerostat.testing.pytest_plugin import optional_part

MIB = 1 << 20

pytestmark = pytest.mark.qemu


class Qemu:
    """A machine of 128 MiB without anything to boot, and with two monitors."""

    def __init__(self, directory: Path) -> None:
        self.first = directory / "first.qmp"
        self.second = directory / "second.qmp"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *options: str, program: str | None = None) -> None:
        monitors = [
            option
            for path in (self.first, self.second)
            for option in ("-qmp", f"unix:{path},server=on,wait=off")
        ]
        self.process = await asyncio.create_subprocess_exec(
            program or find_program(), "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", "q35", "-accel", "tcg", "-m", "128M", "-name", "alpha", *monitors, *options,
        )  # fmt: skip
        async with asyncio.timeout(20):
            while not self.second.exists():
                assert self.process.returncode is None
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@pytest.fixture
async def qemu(tmp_path: Path) -> AsyncIterator[Qemu]:
    machine = Qemu(tmp_path)
    try:
        yield machine
    finally:
        await machine.stop()


async def read(connector: QmpConnector, path: Path) -> Reading:
    """Sample until the machine has come up."""
    async with asyncio.timeout(30):
        while True:
            result = await sample(connector, path)
            if isinstance(result, Reading):
                return result
            await asyncio.sleep(0.05)


async def sample(connector: QmpConnector, path: Path) -> object:
    await connector.guests()
    return (await connector.sample([f"qmp:{path}"], 1.0))[f"qmp:{path}"]


@pytest.mark.parametrize("device", ["virtio-balloon-pci,id=b0", "virtio-balloon-pci"])
async def test_qemus_balloon_is_found_and_set(qemu: Qemu, device: str) -> None:
    await qemu.start("-device", device)
    connector = QmpConnector([str(qemu.first)])
    await connector.start()
    try:
        reading = await read(connector, qemu.first)
        assert await connector.guests() == [GuestInfo(reading.key, "alpha", str(qemu.first))]
        assert (reading.max_size, reading.guest_size) == (128 * MIB, 128 * MIB)
        assert (reading.statistics, reading.sampled_at) == ({}, None)  # no driver in there
        assert reading.held is not None
        assert MIB < reading.held < 512 * MIB
        await connector.set_target(reading.key, 64 * MIB, 5.0)  # accepted; nobody obeys
        await read(connector, qemu.first)
    finally:
        await connector.close()


async def test_a_monitor_serves_one_client(qemu: Qemu, monkeypatch: pytest.MonkeyPatch) -> None:
    await qemu.start("-device", "virtio-balloon-pci")
    holder, late = QmpConnector([str(qemu.first)]), QmpConnector([str(qemu.first)])
    other = QmpConnector([str(qemu.second)])
    await holder.start()
    try:
        await read(holder, qemu.first)
        monkeypatch.setattr(qmp, "_GREETING_TIMEOUT", 0.3)
        await late.start()
        error = await sample(late, qemu.first)
        assert isinstance(error, LinkError)
        assert "another client holds this monitor" in str(error)
        await other.start()
        await read(other, qemu.second)
    finally:
        for connector in (late, holder, other):
            await connector.close()


async def test_the_interval_is_put_back(qemu: Qemu) -> None:
    await qemu.start("-device", "virtio-balloon-pci,id=b0")
    connector = QmpConnector([str(qemu.first)])
    await connector.start()
    await read(connector, qemu.first)
    assert await interval(qemu.second) == 3600
    await connector.close()
    assert await interval(qemu.second) == 0


async def interval(path: Path) -> object:
    """Ask over the other monitor."""
    link = await open_link(str(path), 5.0)
    where = {"path": "/machine/peripheral/b0", "property": "guest-stats-polling-interval"}
    (answer,) = await link.ask(Ask("qom-get", where))
    link.close()
    return answer


async def test_a_machine_without_a_balloon_is_told_of(qemu: Qemu) -> None:
    await qemu.start()
    connector = QmpConnector([str(qemu.first)])
    await connector.start()
    try:
        async with asyncio.timeout(30):
            error = await sample(connector, qemu.first)
            while "no virtio-balloon device" not in str(error):
                await asyncio.sleep(0.05)  # it is still coming up
                error = await sample(connector, qemu.first)
            assert isinstance(error, LinkError)
    finally:
        await connector.close()


async def test_a_killed_machine_is_no_guest_any_more(
    qemu: Qemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qmp, "_FIRST_RETRY", 0.01)
    await qemu.start("-device", "virtio-balloon-pci")
    connector = QmpConnector([str(qemu.first)])
    await connector.start()
    try:
        await read(connector, qemu.first)
        await qemu.stop()
        assert qemu.first.exists()  # it leaves its socket behind
        async with asyncio.timeout(10):
            while await connector.guests():  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
    finally:
        await connector.close()


async def test_examining_a_newer_qemu_does_not_end_it(qemu: Qemu) -> None:
    """QEMU 11.1.3 ends when it is asked for a device's status."""
    with optional_part():
        program = find_part("qemu11", GET_NEWER)
    await qemu.start("-device", "virtio-balloon-pci", program=str(program))
    connector = QmpConnector([str(qemu.first)])
    reading = await read(connector, qemu.first)
    found = await connector.examine(reading.key, 5.0)
    await connector.close()

    assert (found.kind, found.balloon, found.driver) == ("qemu", True, None)
    assert qemu.process is not None
    assert qemu.process.returncode is None
    link = await open_link(str(qemu.second), 5.0)
    assert (await link.ask(Ask("query-status")))[0]["running"]
    link.close()
