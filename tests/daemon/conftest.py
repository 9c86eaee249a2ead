"""A house of guests in memory, under a clock that the test moves."""

from collections.abc import AsyncIterator

import pytest

from aerostat.testing.mocks.clock import VirtualClock
from aerostat.testing.mocks.house import House


@pytest.fixture
def clock() -> VirtualClock:
    """Give time that passes only when the test says so."""
    return VirtualClock()


@pytest.fixture
async def house(clock: VirtualClock) -> AsyncIterator[House]:
    """Give a house, and stop its manager afterwards."""
    house = House(clock)
    yield house
    await house.stop()
