"""How often guests are looked at, and what wakes the manager early."""

from collections.abc import Sequence

import numpy as np
import pytest

from aerostat.daemon.config import parse
from aerostat.daemon.journal.recording import Observation, Thought
from aerostat.daemon.pace import Pace
from aerostat.daemon.thinking import Step
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.step import step as engine_step
from aerostat.errors import AerostatError, LinkError
from aerostat.hypervisors.base import Reading
from aerostat.testing.mocks.clock import VirtualClock
from aerostat.testing.mocks.connector import FakeGuest
from aerostat.testing.mocks.house import House, SlowConnector
from aerostat.units import GIB, MIB


class Watched(SlowConnector):
    """Notes when it was asked for which guests."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.asked: list[tuple[float, str]] = []

    async def sample(
        self, keys: Sequence[str], timeout: float
    ) -> dict[str, Reading | AerostatError]:
        """Read the guests."""
        self.asked += [(self._clock(), key) for key in keys]
        return await super().sample(keys, timeout)

    def looks(self, name: str, since: float) -> list[float]:
        """Return when the guest of this name was looked at."""
        return [round(when - since, 3) for when, key in self.asked if key == f"fake:{name}"]


@pytest.fixture
def watched(house: House) -> Watched:
    house.connector = Watched(house.clock)
    house.budget = 4 * GIB
    return house.connector


async def test_a_guest_at_rest_is_looked_at_less_often_and_never_too_late(
    house: House, watched: Watched
) -> None:
    house.add("a").uses(300 * MIB)
    began = house.clock.monotonic()
    await house.start(parse({"manage": True, "interval": 0.25}, "test"))
    await house.clock.advance(9.9)
    # Twice as long each time, up to eight intervals; half of 5 s of freshness is not reached.
    assert watched.looks("a", began) == [0.0, 0.25, 0.75, 1.75, 3.75, 5.75, 7.75, 9.75]
    assert all((shown.guests[0].sample_age or 0) <= 2 for shown in house.shown)
    assert {shown.guests[0].condition for shown in house.shown} == {"fresh"}
    assert house.last.guests[0].next_sample == pytest.approx(2.0, abs=0.26)


async def test_half_the_time_of_freshness_is_the_longest_rest(
    house: House, watched: Watched
) -> None:
    house.add("a").uses(300 * MIB)
    began = house.clock.monotonic()
    await house.start()
    await house.clock.advance(9)
    assert watched.looks("a", began) == [0.0, 1.0, 3.0, 5.0, 7.0, 9.0]


async def test_news_and_trouble_bring_it_back_to_every_tick(house: House, watched: Watched) -> None:
    guest = house.add("a")
    guest.uses(300 * MIB)
    await house.start(parse({"manage": True, "interval": 0.25}, "test"))
    await house.clock.advance(6)
    before = house.clock.monotonic()
    for step in range(20):
        guest.uses((300 - 8 * step) * MIB)
        await house.clock.advance(0.25)
    looks = watched.looks("a", before)
    assert looks[-1] - looks[-9] == pytest.approx(2.0)  # in each of the last ticks
    guest.fault = LinkError("no answer")
    await house.clock.advance(3)
    before = house.clock.monotonic()
    await house.clock.advance(2)
    assert len(watched.looks("a", before)) >= 7


async def test_a_balloon_that_moves_is_followed_closely(house: House, watched: Watched) -> None:
    house.budget = 400 * MIB
    stubborn = house.add("a", held=400 * MIB)
    stubborn.uses(400 * MIB)
    stubborn.obeys = False
    await house.start()
    await house.clock.advance(0.5)  # nothing is asked in the first tick
    began = house.clock.monotonic() + 0.5
    await house.clock.advance(1.4)
    assert watched.looks("a", began)[1:] == [0.0, 0.05, 0.1, 0.2, 0.4]


async def test_memory_that_comes_free_is_given_at_once_to_who_waits_for_it(
    house: House, watched: Watched
) -> None:
    house.budget = 700 * MIB
    giver = house.add("giver", guest_size=500 * MIB, held=480 * MIB)
    giver.uses(400 * MIB)
    giver.obeys = False
    taker = house.add("taker", guest_size=200 * MIB, held=198 * MIB)
    taker.uses(5 * MIB)
    await house.start()
    await house.clock.advance(1.06)
    before = taker.guest_size
    giver.guest_size = giver.held = giver.targets[-1]  # its balloon has arrived
    await house.clock.advance(0.3)  # long before the next tick would be
    assert taker.guest_size > before


def test_early_ticks_put_off_nobodys_look() -> None:
    size = np.array([GIB], dtype=np.float64)
    guests = Guests.of(("a",), max_size=size, guest_size=size, held=size)  # and says nothing
    hosts = Hosts.of(("host",), budget=size / 2)
    settings, before = Settings(), State.empty()
    after, plan = engine_step(before, 100.0, hosts, guests, settings)
    thought = Thought(before, after, plan, settings, manage=True)
    step = Step(Observation(100.0, 0.0, hosts, guests), thought)
    pace = Pace(interval=1.0, fresh_for=5.0)
    pace.begin(1, 100.0)
    pace.learn(step)
    for early in (100.25, 100.5, 100.75):
        pace.begin(1, early)
        assert not pace.is_due("a")
        pace.learn(step)
    pace.begin(2, 101.0)
    assert pace.is_due("a")


async def test_an_order_does_not_wait_for_the_next_tick(house: House, watched: Watched) -> None:
    guest = house.add("a")
    guest.uses(300 * MIB)
    manager = await house.start(parse({"manage": True, "interval": 60}, "test"))
    await house.clock.advance(20)
    manager.set_target("fake:a", 500 * MIB)
    await house.clock.advance(0.1)
    assert guest.guest_size == 500 * MIB


async def test_an_early_tick_moves_no_regular_one(house: House, watched: Watched) -> None:
    guest = house.add("a")
    began = house.clock.monotonic()
    manager = await house.start()
    for step in range(40):  # never at rest
        guest.uses((300 - 4 * step) * MIB)
        await house.clock.advance(0.1)
        if step == 13:
            manager.wake()
    assert watched.looks("a", began)[:5] == [0.0, 1.0, 1.4, 2.0, 3.0]


async def test_who_wakes_it_all_the_time_does_not_make_it_spin(
    house: House, watched: Watched
) -> None:
    house.add("a").uses(300 * MIB)
    manager = await house.start()
    for _ in range(100):
        manager.wake()
        await house.clock.advance(0.1)
    assert house.last.tick <= 42  # four in a second


async def test_a_suspend_makes_everything_old_and_is_said(house: House, watched: Watched) -> None:
    fine, hung = house.add("fine", held=300 * MIB), house.add("hung", held=300 * MIB)
    for guest in (fine, hung):
        guest.uses(400 * MIB)
    await house.start()
    await house.clock.advance(5)
    house.budget = 500 * MIB
    house.connector.hung.add("fake:hung")
    house.clock.suspend(3600)
    sent = len(watched.sent)
    await house.clock.advance(1.5)
    ages = {guest.name: guest.sample_age or 0.0 for guest in house.last.guests}
    assert ages["fine"] < 1.1
    assert ages["hung"] > 3600
    conditions = {guest.name: guest.condition for guest in house.last.guests}
    assert conditions["hung"] == "silent"
    # Nothing is taken from a guest of which nothing fresh is known.
    taken = [(key, size) for _, key, size in watched.sent[sent:] if key == "fake:hung"]
    assert all(size >= 512 * MIB * 0.98 for _, size in taken), taken


async def test_a_manager_that_was_stopped_says_so_and_looks_at_all_again(
    house: House, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    house.add("a").uses(300 * MIB)
    await house.start()
    await house.clock.advance(5)

    def stop(*_: object) -> None:
        house.clock._now += 60  # SIGSTOP, and SIGCONT a minute later
        house.manager.watchers.remove(stop)

    house.manager.watchers.append(stop)
    await house.clock.advance(2)
    assert "nothing was done for 60 s" in caplog.text
    assert house.last.guests[0].sample_age == 0.0


async def test_a_guest_that_is_gone_is_forgotten(house: House, watched: Watched) -> None:
    house.add("a").uses(300 * MIB)
    manager = await house.start()
    await house.clock.advance(3)
    house.connector.fakes.clear()
    await house.clock.advance(3)
    assert not house.last.guests
    pace = manager._ticker.pace
    assert not pace._due
    assert len(pace._rests) == len(pace._figures) == 0
    house.connector.fakes["fake:a"] = again = FakeGuest("a")
    again.uses(300 * MIB)
    await house.clock.advance(1)
    assert house.last.guests[0].sample_age == 0.0
