"""Carrying a plan out: the order, one request a guest, and what is sent again."""

import asyncio
from collections.abc import Mapping
from typing import cast

import numpy as np
import pytest

from aerostat.daemon.requests import Request, Requests
from aerostat.daemon.sampler import Seen
from aerostat.engine.plan import Move, Plan, Reason
from aerostat.errors import LinkError
from aerostat.hypervisors.base import GuestInfo
from aerostat.testing.mocks.clock import VirtualClock
from aerostat.testing.mocks.connector import FakeConnector
from aerostat.testing.mocks.house import House
from aerostat.units import MIB


class SmallPlan:
    """The little of a plan that is asked for here."""

    def __init__(self, moves: list[Move], asked: Mapping[str, float]) -> None:
        self._moves = moves
        self.keys = tuple(asked)
        self.asked = np.array(list(asked.values()), dtype=np.float64)
        self.guest_size = np.full(len(asked), 512.0 * MIB)
        self.reason = np.full(len(asked), int(Reason.DRAINING))

    def moves(self) -> list[Move]:
        return list(self._moves)

    def sentence(self, row: int) -> str:
        return f"is on its way ({row})"


def plan(*moves: Move, asked: Mapping[str, float] | None = None) -> Plan:
    return cast("Plan", SmallPlan(list(moves), asked or {}))


def move(key: str, size_mib: int) -> Move:
    return Move(key, 512 * MIB, size_mib * MIB, Reason.GROW_NEED, "because")


@pytest.fixture
def ended() -> list[Request]:
    return []


@pytest.fixture
def requests(clock: VirtualClock, ended: list[Request]) -> Requests:
    return Requests(clock, 2.0, ended.append)


@pytest.fixture
def guests(house: House) -> dict[str, Seen]:
    for name in "abc":
        house.add(name, max_size=4096 * MIB)
    return {
        key: Seen(GuestInfo(key, fake.name, "test"), key, house.connector)
        for key, fake in house.connector.fakes.items()
    }


async def test_grows_are_sent_first_and_wait_for_no_shrink(
    house: House,
    requests: Requests,
    ended: list[Request],
    guests: dict[str, Seen],
    clock: VirtualClock,
) -> None:
    house.connector.hung.add("fake:a")
    requests.carry_out(plan(move("fake:a", 100), move("fake:b", 600), move("fake:c", 700)), guests)
    await clock.settle()
    assert [key for _, key, _ in house.connector.sent] == ["fake:c", "fake:b", "fake:a"]
    assert requests.accepted == {"fake:b": 600 * MIB, "fake:c": 700 * MIB}
    await clock.advance(3)
    assert [r.outcome for r in ended] == ["accepted", "accepted", "failed: no answer"]


async def test_what_is_under_way_and_was_not_accepted_is_sent_again(
    house: House,
    requests: Requests,
    ended: list[Request],
    guests: dict[str, Seen],
    clock: VirtualClock,
) -> None:
    under_way = plan(asked={"fake:a": 300.0 * MIB, "fake:b": np.nan})
    for _ in range(2):
        requests.carry_out(under_way, guests)
        await clock.settle()
    assert [key for _, key, _ in house.connector.sent] == ["fake:a"]
    assert ended[0].move.sentence == "is on its way (0)"
    requests.forget({})  # the guest was gone in the meantime
    requests.carry_out(under_way, guests)
    await clock.settle()
    assert len(house.connector.sent) == 2


async def test_a_connector_that_ignores_its_limit_is_cut_off(
    requests: Requests, ended: list[Request], guests: dict[str, Seen], clock: VirtualClock
) -> None:
    class Endless(FakeConnector):
        async def set_target(self, *_: object) -> None:
            await asyncio.Event().wait()

    guests["fake:a"].connector = Endless()
    requests.carry_out(plan(move("fake:a", 100)), guests)
    await clock.advance(3)
    assert [r.outcome for r in ended] == ["failed: no answer within 2 s"]


async def test_a_connector_that_refuses_to_be_cancelled_gets_no_second_request(
    requests: Requests, guests: dict[str, Seen], clock: VirtualClock
) -> None:
    release = asyncio.Event()
    begun: list[int] = []

    class Deaf(FakeConnector):
        async def set_target(self, _: str, size: int, *__: object) -> None:
            begun.append(size)
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            raise LinkError("at last")

    guests["fake:a"].connector = Deaf()
    for _ in range(5):
        requests.carry_out(plan(move("fake:a", 100)), guests)
        await clock.advance(3)
    assert begun == [100 * MIB]
    release.set()
    await clock.advance(1)
    requests.carry_out(plan(move("fake:a", 200)), guests)
    await clock.advance(3)
    assert begun == [100 * MIB, 200 * MIB]


async def test_a_bug_in_a_connector_is_an_outcome(
    requests: Requests, ended: list[Request], guests: dict[str, Seen], clock: VirtualClock
) -> None:
    class Broken(FakeConnector):
        async def set_target(self, *_: object) -> None:
            raise KeyError("\x1b[2J")

    guests["fake:a"].connector = Broken()
    requests.carry_out(plan(move("fake:a", 100)), guests)
    await clock.settle()
    assert ended[0].outcome == "failed: KeyError: '\\x1b[2J'"
