"""Carrying a plan out: the order, one request a guest, and what is sent again."""

import asyncio

import numpy as np
import pytest

from aerostat.daemon.requests import Requests
from aerostat.daemon.sampler import Seen
from aerostat.engine.plan import Move, Reason
from aerostat.errors import LinkError
from aerostat.hypervisors.base import GuestInfo
from aerostat.testing.fake_connector import FakeGuest
from aerostat.units import MIB


class Plan:
    """The little of a plan that is asked for here."""

    def __init__(self, *moves, asked=None):
        self._moves = list(moves)
        self.keys = tuple(asked or ())
        self.asked = np.array(list((asked or {}).values()), dtype=np.float64)
        self.guest_size = np.full(len(self.keys), 512.0 * MIB)
        self.reason = np.full(len(self.keys), int(Reason.DRAINING))

    def moves(self):
        return list(self._moves)

    def sentence(self, row):
        return f"is on its way ({row})"


def move(key, size):
    return Move(key, 512 * MIB, size * MIB, Reason.GROW_NEED, "because")


@pytest.fixture
def requests(clock):
    ended = []
    requests = Requests(clock, 2.0, ended.append)
    requests.ended_ones = ended
    return requests


@pytest.fixture
def guests(house):
    for name in "abc":
        house.add(name, max_size=4096 * MIB)
    return {
        key: Seen(GuestInfo(key, fake.name, "test"), key, house.connector)
        for key, fake in house.connector.fakes.items()
    }


async def test_grows_are_sent_first_and_wait_for_no_shrink(house, requests, guests, clock):
    house.connector.hung.add("fake:a")
    requests.carry_out(Plan(move("fake:a", 100), move("fake:b", 600), move("fake:c", 700)), guests)
    await clock.advance(0)
    assert [key for _, key, _ in house.connector.sent] == ["fake:c", "fake:b", "fake:a"]
    assert requests.accepted == {"fake:b": 600 * MIB, "fake:c": 700 * MIB}
    await clock.advance(3)
    assert [r.outcome for r in requests.ended_ones] == ["accepted", "accepted", "failed: no answer"]


async def test_what_is_under_way_and_was_not_accepted_is_sent_again(house, requests, guests, clock):
    requests.carry_out(Plan(asked={"fake:a": 300.0 * MIB, "fake:b": np.nan}), guests)
    await clock.advance(0)
    requests.carry_out(Plan(asked={"fake:a": 300.0 * MIB}), guests)
    await clock.advance(0)
    assert [key for _, key, _ in house.connector.sent] == ["fake:a"]
    assert requests.ended_ones[0].move.sentence == "is on its way (0)"
    requests.forget({})
    requests.carry_out(Plan(asked={"fake:a": 300.0 * MIB}), guests)
    await clock.advance(0)
    assert len(house.connector.sent) == 2


async def test_a_connector_that_ignores_its_limit_is_cut_off(house, requests, guests, clock):
    class Endless(type(house.connector)):
        async def set_target(self, key, size, limit):
            await asyncio.Event().wait()

    guests["fake:a"].connector = Endless(clock, FakeGuest("a"))
    requests.carry_out(Plan(move("fake:a", 100)), guests)
    await clock.advance(3)
    assert [r.outcome for r in requests.ended_ones] == ["failed: no answer within 2 s"]
    await requests.finish(1)


async def test_a_connector_that_refuses_to_be_cancelled_gets_no_second_request(
    requests, guests, clock, house
):
    release = asyncio.Event()
    begun = []

    class Deaf(type(house.connector)):
        async def set_target(self, key, size, limit):
            begun.append(size)
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            raise LinkError("at last")

    guests["fake:a"].connector = Deaf(clock, FakeGuest("a"))
    for _ in range(5):
        requests.carry_out(Plan(move("fake:a", 100)), guests)
        await clock.advance(3)
    assert begun == [100 * MIB]
    release.set()
    await clock.advance(1)
    requests.carry_out(Plan(move("fake:a", 200)), guests)
    await clock.advance(3)
    assert begun == [100 * MIB, 200 * MIB]


async def test_a_bug_in_a_connector_is_an_outcome(requests, guests, clock, house):
    class Broken(type(house.connector)):
        async def set_target(self, key, size, limit):
            raise KeyError("\x1b[2J")

    guests["fake:a"].connector = Broken(clock, FakeGuest("a"))
    requests.carry_out(Plan(move("fake:a", 100)), guests)
    await clock.advance(0)
    assert requests.ended_ones[0].outcome == "failed: KeyError: '\\x1b[2J'"
