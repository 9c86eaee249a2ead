"""What a check of the connectors' contract needs: a connector, and its guests in its hands.

Asyncio; touches a run directory, and what is left in it.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple, Self

from aerostat.errors import AerostatError, LinkError
from aerostat.hypervisors.base import Connector, Reading
from aerostat.testing.processes import places, sessions

#: How long anything may take to come true, in seconds.
PATIENCE = 60.0
_LOOK_EVERY = 0.05


class Can(Enum):
    """What can be done to the guest of a world, or be seen of it."""

    STATISTICS = auto()
    """It sends figures."""
    MOVE = auto()
    """Its balloon follows its target."""
    LAST = auto()
    """It lasts when the connector ends."""
    LOOK_INSIDE = auto()
    """It says by another way what its kernel counts (`counters`)."""
    EXAMINE = auto()
    """How it is set up is known (`setup`)."""
    PERIOD = auto()
    """How often the hypervisor asks it is known (`period`)."""
    PAUSE = auto()
    REBOOT = auto()
    PLUG = auto()
    """Memory can be plugged in (`plug`)."""
    READ_DISKS = auto()
    """It can be had to read from its disks (`read_disk`)."""
    HANG = auto()
    """Its monitor can be had to hang (`hang`), beside that of another guest (`other`)."""
    LEAVE = auto()
    """It can go, and come again (`leave`, `come`)."""
    SAY = auto()
    """It says what it is told to (`say`)."""


class World(ABC):
    """A source of guests, and a connector to it.

    `key` is the guest that is checked, `max_size` its memory, and `small_size` a size that it can
    come down to, in bytes. `connector` is started, and serves all checks that do not make their
    own; what it is asked may take `limit` seconds. What the world needs goes into `directory`,
    which is there, as all of this, between entering the world and leaving it.
    """

    can: frozenset[Can] = frozenset()
    #: What `Examination` should say, by field.
    setup: Mapping[str, object] = {}
    connector: Connector
    key: str
    name: str
    max_size: int
    small_size: int
    directory: Path
    limit: float = 5.0

    async def __aenter__(self) -> Self:
        self.directory = places.run_directory()
        sessions.own(self.directory)
        try:
            await self.start()
            self.connector = await self.connect()
        except BaseException:
            await asyncio.to_thread(sessions.sweep, self.directory)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.connector.close()
            await self.close()
        finally:
            await asyncio.to_thread(sessions.sweep, self.directory)

    @abstractmethod
    async def start(self) -> None:
        """Start the guests."""

    @abstractmethod
    async def close(self) -> None:
        """End them."""

    @abstractmethod
    async def connect(self, *, read_only: bool = False) -> Connector:
        """Return a connector to the guests, started."""

    @abstractmethod
    async def size(self) -> int:
        """Return the RAM that the guest has left, as its hypervisor says past the connector."""

    # What a check may do, as far as `can` says so.

    @property
    def other(self) -> str:
        """The key of another guest, whose monitor does not hang."""
        raise NotImplementedError

    async def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Return the guest's own `vmstat` and `meminfo` (in bytes)."""
        raise NotImplementedError

    async def period(self) -> int:
        """Return how often the hypervisor asks the guest for figures, in seconds."""
        raise NotImplementedError

    def paused(self) -> AbstractAsyncContextManager[None]:
        """Pause the guest."""
        raise NotImplementedError

    async def reboot(self) -> None:
        """Reset the guest, and return when it is up again."""
        raise NotImplementedError

    async def plug(self) -> int:
        """Plug in memory, and return how much the guest has then at the most."""
        raise NotImplementedError

    async def read_disk(self) -> int:
        """Have the guest read from its disk, and return how many bytes that are at least."""
        raise NotImplementedError

    def hang(self) -> AbstractContextManager[None]:
        """Have the guest's monitor not answer."""
        raise NotImplementedError

    async def leave(self) -> None:
        """End the guest."""
        raise NotImplementedError

    async def come(self) -> None:
        """Start it again."""
        raise NotImplementedError

    def say(self, figures: Mapping[int, int], *, at: int | None = None) -> None:
        """Have the guest answer with these figures, by tag, when it is asked for the next time.

        `at` is the second of the wall clock that its hypervisor gives them, instead of the next.
        """
        raise NotImplementedError

    def fall_silent(self) -> None:
        """Have the guest answer no more."""
        raise NotImplementedError

    # What checks have in common.

    @contextlib.asynccontextmanager
    async def another(self, *, read_only: bool = False) -> AsyncIterator[Connector]:
        """Have another connector in the place of `connector`: some monitors serve one at a time."""
        await self.connector.close()
        self.connector = await self.connect(read_only=read_only)
        try:
            yield self.connector
        finally:
            await self.connector.close()
            self.connector = await self.connect()

    async def read(self, key: str = "") -> Reading:
        """Return a reading; errors are waited out, as connections are made and made again."""
        key = key or self.key
        answer: Reading | AerostatError = LinkError("not read yet")
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    await self.connector.guests()
                    answer = (await self.connector.sample([key], self.limit))[key]
                    if isinstance(answer, Reading):
                        return answer
                    await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError:
            raise AssertionError(f"{key} cannot be read: {answer}") from None

    async def read_until(self, fits: Callable[[Reading], bool]) -> Reading:
        """Return the first reading that `fits`. Raises `AssertionError` where none does in time."""
        reading = await self.read()
        try:
            async with asyncio.timeout(PATIENCE):
                while not fits(reading):
                    await asyncio.sleep(_LOOK_EVERY)
                    reading = await self.read()
        except TimeoutError:
            raise AssertionError(f"it does not come to that; the last was {reading}") from None
        return reading

    async def read_after(self, moment: float) -> Reading:
        """Return a reading with figures that are certainly made after a `moment`, monotonic."""
        return await self.read_until(lambda reading: (reading.sampled_at or 0.0) > moment)

    async def move(self, size: int) -> Reading:
        """Have the guest come to a size, and return a reading that says that it has."""
        await self.read()  # a connector that has just begun may not know it yet
        await self.connector.set_target(self.key, size, self.limit)
        return await self.read_until(lambda reading: reading.guest_size == size)


class Check(NamedTuple):
    """A check, by its name, and what it needs of the world that it is put to."""

    name: str
    needs: frozenset[Can]
    run: Callable[[World], Awaitable[None]]


class Checks(list[Check]):
    """A list of checks, filled by decorating them."""

    def needs(
        self, *abilities: Can
    ) -> Callable[[Callable[[World], Awaitable[None]]], Callable[[World], Awaitable[None]]]:
        """Add a check that needs these abilities."""

        def add(check: Callable[[World], Awaitable[None]]) -> Callable[[World], Awaitable[None]]:
            self.append(Check(check.__name__, frozenset(abilities), check))
            return check

        return add


async def refused(kind: type[AerostatError], asked: Awaitable[object]) -> None:
    """See that what was asked raises an error of a kind."""
    try:
        await asked
    except kind:
        return
    raise AssertionError(f"no {kind.__name__} was raised")
