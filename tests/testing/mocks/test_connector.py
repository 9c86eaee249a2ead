"""The in-memory connector keeps the contract that the tests on top of it rely on."""

from aerostat.balloon.statistics import Tag
from aerostat.errors import LinkError
from aerostat.hypervisors.base import Connector, Reading
from aerostat.testing.mocks.connector import FakeConnector, FakeGuest
from aerostat.units import MIB


async def test_it_reads_obeys_and_fails_as_scripted() -> None:
    good, stuck = FakeGuest("good"), FakeGuest("stuck", obeys=False)
    broken = FakeGuest("broken", fault=LinkError("gone"))
    good.uses(100 * MIB)
    connector: Connector = FakeConnector(good, stuck, broken, clock=lambda: 7.0)
    await connector.start()
    for guest in (good, stuck):
        await connector.set_target(guest.key, 200 * MIB, 1.0)
        assert guest.targets == [200 * MIB]
    results = await connector.sample([g.key for g in (good, stuck, broken)] + ["nobody"], 1.0)
    reading = results[good.key]
    assert isinstance(reading, Reading)
    assert (reading.guest_size, reading.sampled_at) == (200 * MIB, 7.0)
    assert reading.statistics[Tag.AVAILABLE_MEMORY] == 100 * MIB
    unchanged = results[stuck.key]
    assert isinstance(unchanged, Reading)
    assert (unchanged.guest_size, unchanged.sampled_at) == (512 * MIB, None)
    assert results[broken.key] is broken.fault
    assert isinstance(results["nobody"], LinkError)
    await connector.close()


async def test_a_silent_guest_keeps_the_time_of_its_last_figures() -> None:
    guest = FakeGuest("a", silent_since=3.0)
    guest.uses(100 * MIB)
    results = await FakeConnector(guest, clock=lambda: 9.0).sample([guest.key], 1.0)
    reading = results[guest.key]
    assert isinstance(reading, Reading)
    assert (reading.taken_at, reading.sampled_at) == (9.0, 3.0)
