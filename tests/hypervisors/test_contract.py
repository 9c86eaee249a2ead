"""The connectors' contract, where everything can be scripted, and can go wrong."""

import pytest

from aerostat.hypervisors.libvirt import session as libvirt_session
from aerostat.hypervisors.qmp import connector as qmp
from aerostat.testing.conformance.connectors import CHECKS, Check, checks_for
from aerostat.testing.conformance.connectors.light import DeviceWorld, TestDriverWorld
from aerostat.testing.conformance.connectors.real import LibvirtWorld, QemuWorld
from aerostat.testing.conformance.connectors.scripted import MonitorWorld, ScriptedLibvirtWorld


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmp, "_FIRST_RETRY", 0.01)
    monkeypatch.setattr(qmp, "_SCAN_INTERVAL", 0.0)
    monkeypatch.setattr(libvirt_session, "_FIRST_RETRY", 0.01)
    monkeypatch.setattr(libvirt_session, "_LIST_PAUSE", 0.0)


@pytest.mark.parametrize("check", checks_for(MonitorWorld), ids=lambda check: check.name)
async def test_a_scripted_monitor(check: Check) -> None:
    async with MonitorWorld() as world:
        await check.run(world)


@pytest.mark.slow
@pytest.mark.parametrize("check", checks_for(ScriptedLibvirtWorld), ids=lambda check: check.name)
async def test_a_scripted_libvirt(check: Check) -> None:
    async with ScriptedLibvirtWorld() as world:
        await check.run(world)


def test_every_check_is_made_of_qemu_and_of_libvirt() -> None:
    """On one of their real guests, or on a scripted one."""
    names = {check.name for check in CHECKS}
    assert len(names) == len(CHECKS)
    for worlds in ((QemuWorld, MonitorWorld), (LibvirtWorld, ScriptedLibvirtWorld)):
        assert {check.name for world in worlds for check in checks_for(world)} == names
    for light in (DeviceWorld, TestDriverWorld):
        assert len(checks_for(light)) >= 7
