"""The host of a running manager: its alarm wakes the loop, its backstop is put back."""

import os
import select
from collections.abc import Iterator

import pytest

from aerostat.daemon import host_keeper
from aerostat.daemon.config import Config, parse
from aerostat.daemon.host_keeper import HostKeeper
from aerostat.errors import MissingError
from aerostat.host.budget import HostReading
from aerostat.testing.mocks.house import House
from aerostat.units import GIB, MIB


class FakeTrigger:
    """Readable when the kernel gave word."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK)

    def fire(self) -> None:
        """Give word."""
        os.eventfd_write(self._descriptor, 1)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def wait(self, timeout: float) -> bool:
        """Hear it."""
        if not select.select([self._descriptor], [], [], timeout)[0]:
            return False
        return os.eventfd_read(self._descriptor) > 0

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class FakeHost:
    """A host with a trigger and a backstop."""

    def __init__(self) -> None:
        self.trigger = FakeTrigger()
        self.backstop = 0
        self.closed = False
        self.error: MissingError | None = None

    def read(self, held: int) -> HostReading:
        """Return some figures."""
        return HostReading(4 * GIB, 8 * GIB, 8 * GIB - held)

    def pressure_trigger(self) -> FakeTrigger:
        """Return the trigger."""
        return self.trigger

    def set_backstop(self) -> int:
        """Set it."""
        if self.error is not None:
            raise self.error
        self.backstop = GIB
        return self.backstop

    def close(self) -> None:
        """Put everything back."""
        self.backstop, self.closed = 0, True
        self.trigger.close()


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeHost]]:
    """Give the hosts that are made in the place of real ones."""
    made: list[FakeHost] = []

    def make(config: object) -> FakeHost:
        if config == parse({"host": {"budget": "1MiB"}}, "test").host:
            raise MissingError("no such host")
        made.append(FakeHost())
        return made[-1]

    monkeypatch.setattr(host_keeper, "_host", make)
    yield made
    for host in made:
        if not host.closed:
            host.close()


async def test_pressure_of_the_host_makes_a_tick_at_once(
    house: House, hosts: list[FakeHost]
) -> None:
    house.add("a").uses(300 * MIB)
    manager = await house.start(parse({"manage": True, "interval": 60}, "test"))
    keeper = HostKeeper(Config())
    assert keeper.start(manager.wake) == ""
    assert hosts[0].backstop == GIB
    await house.clock.advance(30)
    assert house.last.tick == 1
    hosts[0].trigger.fire()
    await house.clock.advance(1)
    assert house.last.tick == 2
    await house.clock.advance(20)
    assert house.last.tick == 2  # word is heard once
    keeper.close()
    assert (hosts[0].closed, hosts[0].backstop) == (True, 0)


async def test_a_changed_host_is_put_in_the_place_of_the_old_one(hosts: list[FakeHost]) -> None:
    keeper = HostKeeper(Config())
    keeper.start(lambda: None)
    assert keeper.change(parse({"interval": 5}, "test")) == ""
    assert len(hosts) == 1  # nothing of it has changed
    with pytest.raises(MissingError, match="no such host"):
        keeper.change(parse({"host": {"budget": "1MiB"}}, "test"))
    assert not hosts[0].closed
    assert keeper.change(parse({"host": {"budget": "2GiB"}}, "test")) == ""
    assert [host.closed for host in hosts] == [True, False]
    assert hosts[1].backstop == GIB
    keeper.close()
    assert hosts[1].closed


async def test_a_backstop_that_cannot_be_set_is_said(hosts: list[FakeHost]) -> None:
    keeper = HostKeeper(Config())
    hosts[0].error = MissingError("memory.high: cannot be set (Permission denied)")
    assert "Permission denied" in keeper.start(lambda: None)
    keeper.close()


@pytest.mark.parametrize(
    ("host", "budget"),
    [
        ({"budget": "3GiB"}, (3 * GIB, 0, None)),
        ({"cgroup": "machine.slice"}, (None, 0, "machine.slice")),
        ({"reserve": "1GiB"}, (None, GIB, None)),
    ],
)
def test_a_budget_as_configured(
    host: dict[str, str], budget: tuple[int | None, int, str | None]
) -> None:
    made = host_keeper._budget(parse({"host": host}, "test").host)
    assert (made.size, made.reserve, made.cgroup) == budget
