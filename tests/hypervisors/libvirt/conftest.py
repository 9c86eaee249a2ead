"""A connector in front of a scripted libvirt."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aerostat.hypervisors.libvirt import session as libvirt_session
from aerostat.hypervisors.libvirt.connector import LibvirtConnector
from aerostat.testing.mocks.libvirt import FakeLibvirt


@pytest.fixture
def libvirt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeLibvirt:
    monkeypatch.setattr(libvirt_session, "_FIRST_RETRY", 0.01)
    monkeypatch.setattr(libvirt_session, "_LIST_PAUSE", 0.0)
    return FakeLibvirt(tmp_path)


@pytest.fixture
async def connector(libvirt: FakeLibvirt) -> AsyncIterator[LibvirtConnector]:
    connector = libvirt.connector()
    await connector.start()
    yield connector
    libvirt.fail()
    await connector.close()
