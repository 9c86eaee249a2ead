"""Monitors that can be made to misbehave, in the test's own process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aerostat.errors import AerostatError
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.qmp import connector as qmp
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.testing.mocks.monitor import FakeMonitor


class Laboratory:
    """Fake monitors in one directory, and a connector to all of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.connector = QmpConnector([str(directory / "*.sock")])
        self._monitors: list[FakeMonitor] = []

    async def monitor(self, name: str = "a", **fields: Any) -> FakeMonitor:
        monitor = FakeMonitor(self.directory / f"{name}.sock")
        for field, value in fields.items():
            assert hasattr(monitor, field)
            setattr(monitor, field, value)
        self._monitors.append(monitor)
        await monitor.start()
        return monitor

    async def sample(
        self, *monitors: FakeMonitor, limit: float = 5.0
    ) -> list[Reading | AerostatError]:
        """Sample these guests, however the connector feels about them."""
        await self.connector.guests()
        results = await self.connector.sample([m.key for m in monitors], limit)
        assert results.keys() == {monitor.key for monitor in monitors}
        return [results[monitor.key] for monitor in monitors]

    async def read(self, monitor: FakeMonitor, limit: float = 5.0) -> Reading:
        """Sample a guest until it can be read (it may be connecting again)."""
        async with asyncio.timeout(20):
            while True:
                (result,) = await self.sample(monitor, limit=limit)
                if isinstance(result, Reading):
                    return result
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        await self.connector.close()
        for monitor in self._monitors:
            with contextlib.suppress(OSError):
                await monitor.stop()


@pytest.fixture
async def laboratory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Laboratory]:
    """Fake monitors, and a connector that is quick to connect again."""
    monkeypatch.setattr(qmp, "_FIRST_RETRY", 0.02)
    laboratory = Laboratory(tmp_path)
    try:
        yield laboratory
    finally:
        await laboratory.close()
