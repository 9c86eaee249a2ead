"""The connectors' contract, on real guests: plain QEMU, and libvirt's domains."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from aerostat.testing.conformance.connectors import Check, checks_for
from aerostat.testing.conformance.connectors.real import LibvirtWorld, QemuWorld
from aerostat.testing.conformance.connectors.world import World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def qemu() -> AsyncIterator[World]:
    async with QemuWorld() as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def libvirt() -> AsyncIterator[World]:
    async with LibvirtWorld() as world:
        yield world


@pytest.mark.qemu
@pytest.mark.parametrize("check", checks_for(QemuWorld), ids=lambda check: check.name)
async def test_qemu_keeps_the_contract(qemu: World, check: Check) -> None:
    await qemu.move(qemu.max_size)
    await check.run(qemu)


@pytest.mark.libvirt
@pytest.mark.parametrize("check", checks_for(LibvirtWorld), ids=lambda check: check.name)
async def test_libvirt_keeps_the_contract(libvirt: World, check: Check) -> None:
    await libvirt.move(libvirt.max_size)
    await check.run(libvirt)
