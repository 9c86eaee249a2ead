"""A house of guests in memory, under a clock that the test moves."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from aerostat.daemon.config import Config, parse
from aerostat.daemon.manager import Manager
from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.errors import AerostatError, LinkError
from aerostat.host.budget import HostReading
from aerostat.hypervisors.base import Reading
from aerostat.testing.fake_connector import FakeConnector, FakeGuest
from aerostat.units import GIB


class Clock:
    """Time that passes only when `advance` says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall_offset = 1.7e9
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.wall_offset

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, waking each sleeper at its time."""
        end = self.now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            self.now = max(self.now, due)
            if not future.done():
                future.set_result(None)
            await settle()
        self.now = end


async def settle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(40):
        await asyncio.sleep(0)


class SlowConnector(FakeConnector):
    """Guests of which some hang: their samples and targets take as long as they may."""

    def __init__(self, clock: Clock, *guests: FakeGuest) -> None:
        super().__init__(*guests, clock=clock.monotonic)
        self.hung: set[str] = set()
        self.under_way: list[str] = []
        self.most_under_way: dict[str, int] = {}
        self.sent: list[tuple[float, str, int]] = []
        self._test_clock = clock

    async def sample(
        self,
        keys: Sequence[str],
        timeout: float,  # noqa: ASYNC109 - the contract's
    ) -> dict[str, Reading | AerostatError]:
        answers = await super().sample([key for key in keys if key not in self.hung], timeout)
        hung = [key for key in keys if key in self.hung]
        if hung:
            await self._test_clock.sleep(timeout)
        return answers | {key: LinkError("no answer") for key in hung}

    async def set_target(
        self,
        key: str,
        size: int,
        timeout: float,  # noqa: ASYNC109 - the contract's
    ) -> None:
        self.under_way.append(key)
        most = max(self.most_under_way.get(key, 0), self.under_way.count(key))
        self.most_under_way[key] = most
        self.sent.append((self._test_clock.now, key, size))
        try:
            if key in self.hung:
                await self._test_clock.sleep(timeout)
                raise LinkError("no answer")
            await super().set_target(key, size, timeout)
        finally:
            self.under_way.remove(key)


class House:
    """A manager, its guests and everything that it showed."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.budget = 4 * GIB
        self.connector = SlowConnector(clock)
        self.shown: list[Snapshot] = []
        self.moves: list[MoveRow] = []
        self.manager: Manager
        self._task: asyncio.Task[None] | None = None

    def add(self, name: str, **fields: Any) -> FakeGuest:
        guest = FakeGuest(name, **fields)
        self.connector.fakes[guest.key] = guest
        return guest

    @property
    def last(self) -> Snapshot:
        return self.shown[-1]

    async def start(self, config: Config | None = None, **parts: Any) -> Manager:
        config = config or parse({"manage": True}, "test")
        connectors = parts.pop("connectors", [self.connector])
        host = parts.pop("host", self._host)
        self.manager = Manager(config, connectors, host=host, clock=self.clock, **parts)
        self.manager.watchers.append(self._see)
        self._task = asyncio.create_task(self.manager.run())
        await settle()
        return self.manager

    async def stop(self) -> None:
        if self._task is not None:
            self.manager.stop()
            while not self._task.done():
                await self.clock.advance(0.5)
            await self._task
            self._task = None

    async def kill(self) -> None:
        """End the manager without letting it clean up what it left with guests or files."""
        assert self._task is not None
        self.manager._save = lambda now: None  # type: ignore[method-assign]
        self._task.cancel()
        while not self._task.done():
            await self.clock.advance(0.5)
        self._task = None

    def _see(self, snapshot: Snapshot, moves: Sequence[MoveRow]) -> None:
        self.shown.append(snapshot)
        self.moves += moves

    def _host(self, held: int) -> HostReading:
        return HostReading(budget=self.budget, total=8 * GIB, available=max(8 * GIB - held, 0))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def house(clock: Clock) -> AsyncIterator[House]:
    house = House(clock)
    yield house
    await house.stop()


@pytest.fixture
def idle() -> Callable[[FakeGuest], FakeGuest]:
    """Make a guest report that it uses a quarter of what it has."""

    def make(guest: FakeGuest) -> FakeGuest:
        guest.uses(guest.guest_size * 3 // 4)
        return guest

    return make
