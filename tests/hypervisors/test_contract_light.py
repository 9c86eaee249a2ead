"""The connectors' contract, on guests that cost little: our own device, libvirt's test driver."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from aerostat.testing.conformance.connectors import Check, checks_for
from aerostat.testing.conformance.connectors.light import DeviceWorld, TestDriverWorld
from aerostat.testing.conformance.connectors.world import World

pytestmark = [pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def device() -> AsyncIterator[World]:
    async with DeviceWorld() as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driver() -> AsyncIterator[World]:
    async with TestDriverWorld() as world:
        yield world


@pytest.mark.slow
@pytest.mark.parametrize("check", checks_for(DeviceWorld), ids=lambda check: check.name)
async def test_our_device_keeps_the_contract(device: World, check: Check) -> None:
    await device.move(device.max_size)
    await check.run(device)


@pytest.mark.libvirt
@pytest.mark.parametrize("check", checks_for(TestDriverWorld), ids=lambda check: check.name)
async def test_libvirts_test_driver_keeps_the_contract(driver: World, check: Check) -> None:
    await check.run(driver)
