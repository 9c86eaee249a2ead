"""What the tests with real guests share: managers that are ended with the test."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from aerostat.testing.laboratory import Laboratory
from aerostat.testing.processes.manager import ManagerProcess


@pytest.fixture
async def manager_of(laboratory: Laboratory) -> AsyncIterator[Callable[..., ManagerProcess]]:
    """Give a function that makes managers of the laboratory's guests; they are ended after."""
    made = []

    def make(**options: Any) -> ManagerProcess:
        made.append(ManagerProcess(directory=laboratory.directory, **options))
        return made[-1]

    yield make
    for manager in made:
        await manager.kill()
