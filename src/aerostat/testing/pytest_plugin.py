"""pytest fixtures for laboratory guests; load it with ``pytest_plugins`` in a root conftest.

Where a part of the laboratory is missing the test is skipped, and says how to get the part; with
``CI=true`` it fails, since a test that silently does not run is worth nothing there. A test that
needs an optional part is skipped there, too: it looks for it in ``with optional_part():``.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from aerostat.errors import MissingError
from aerostat.testing.guests import qemu, uml
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.processes import libvirtd, places, sessions
from aerostat.units import GIB

# Their assertions are to say as much as those in tests.
pytest.register_assert_rewrite("aerostat.testing.conformance.connectors")

# Room that is looked for; a test with more guests than this holds makes a laboratory of its own.
_MEMORY = 2 * GIB


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look whether what the test's marks name is here."""
    try:
        if item.get_closest_marker("uml"):
            uml.modules_directory(uml.find_kernel())
        if item.get_closest_marker("qemu"):
            qemu.Parts()
        if item.get_closest_marker("libvirt"):
            libvirtd.find_program()
            qemu.Parts()  # what its domains are made of
    except MissingError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@contextlib.contextmanager
def optional_part() -> Iterator[None]:
    """Skip the test if what is looked for inside is missing."""
    try:
        yield
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def run_directory() -> Iterator[Path]:
    """Give a directory whose path is short enough for sockets; end what is left in it after."""
    directory = places.run_directory()
    sessions.own(directory)
    yield directory
    sessions.sweep(directory)


@pytest_asyncio.fixture
async def laboratory() -> AsyncIterator[Laboratory]:
    """Give a laboratory of user-mode Linux guests."""
    async with Laboratory(memory=_MEMORY) as laboratory:
        yield laboratory
