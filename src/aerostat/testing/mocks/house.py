"""A manager with everything around it in memory: guests that hang, a host, a clock to move.

For tests of the daemon and of what stands on it. Touches nothing but the files it is given.
"""

import asyncio
from collections.abc import Sequence

from aerostat.daemon.config import Config, parse
from aerostat.daemon.journal.writer import JournalLike
from aerostat.daemon.manager import Manager
from aerostat.daemon.policies import guide
from aerostat.daemon.savefile import SaveFile
from aerostat.daemon.settings import settings_of
from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.errors import AerostatError, LinkError
from aerostat.host.budget import HostReading
from aerostat.hypervisors.base import Connector, Reading
from aerostat.testing.mocks.clock import VirtualClock
from aerostat.testing.mocks.connector import FakeConnector, FakeGuest
from aerostat.units import GIB, MIB

HOST_MEMORY = 8 * GIB


class SlowConnector(FakeConnector):
    """Guests of which those in `hung` take all the time they may, and then fail."""

    def __init__(self, clock: VirtualClock, *guests: FakeGuest) -> None:
        super().__init__(*guests, clock=clock.monotonic)
        self.hung: set[str] = set()
        self.sent: list[tuple[float, str, int]] = []
        """Every request: when, to whom, the size."""
        self.under_way: list[str] = []
        self.most_under_way: dict[str, int] = {}
        """How many requests a guest ever had at once."""
        self._waiting = clock.sleep

    async def sample(
        self,
        keys: Sequence[str],
        timeout: float,
    ) -> dict[str, Reading | AerostatError]:
        """Read the guests; those that hang make the answer late."""
        answers = await super().sample([key for key in keys if key not in self.hung], timeout)
        hung = [key for key in keys if key in self.hung]
        if hung:
            await self._waiting(timeout)
        return answers | {key: LinkError("no answer") for key in hung}

    async def set_target(
        self,
        key: str,
        size: int,
        timeout: float,
    ) -> None:
        """Ask the guest; one that hangs is asked in vain."""
        self.sent.append((self._clock(), key, size))
        self.under_way.append(key)
        most = max(self.most_under_way.get(key, 0), self.under_way.count(key))
        self.most_under_way[key] = most
        try:
            if key in self.hung:
                await self._waiting(timeout)
                raise LinkError("no answer")
            await super().set_target(key, size, timeout)
        finally:
            self.under_way.remove(key)


class House:
    """A host, its guests, its manager, and all that the manager has shown (`shown`, `moves`)."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.budget = HOST_MEMORY // 2
        self.connector = SlowConnector(clock)
        self.shown: list[Snapshot] = []
        self.moves: list[MoveRow] = []
        self.manager: Manager
        self._task: asyncio.Task[None] | None = None

    def add(
        self,
        name: str,
        *,
        max_size: int = 512 * MIB,
        guest_size: int | None = None,
        held: int | None = 256 * MIB,
        fault: AerostatError | None = None,
    ) -> FakeGuest:
        """Add a guest; it says nothing until the test has it say something (`FakeGuest.uses`)."""
        size = max_size if guest_size is None else guest_size
        guest = FakeGuest(name, max_size=max_size, guest_size=size, held=held, fault=fault)
        self.connector.fakes[guest.key] = guest
        return guest

    @property
    def last(self) -> Snapshot:
        """The newest snapshot."""
        return self.shown[-1]

    async def start(
        self,
        config: Config | None = None,
        *,
        connectors: Sequence[Connector] | None = None,
        save_file: SaveFile | None = None,
        journal: JournalLike | None = None,
    ) -> Manager:
        """Start a manager, which manages unless `config` says otherwise; its first tick is done."""
        config = config or parse({"manage": True}, "house")
        self.manager = Manager(
            config,
            [self.connector] if connectors is None else connectors,
            host=self.host,
            clock=self.clock,
            save_file=save_file,
            journal=journal,
            settings=settings_of(config),
            guide=guide(config.policy),
        )
        self.manager.watchers.append(self._see)
        self._task = asyncio.create_task(self.manager.run())
        await self.clock.settle()
        return self.manager

    async def stop(self) -> None:
        """Stop the manager as an operator does."""
        if self._task is not None:
            self.manager.stop()
            while not self._task.done():
                await self.clock.advance(0.5)
            await self._task
            self._task = None

    def host(self, held: int) -> HostReading:
        """Return the host's figures, its guests holding `held` bytes."""
        return HostReading(self.budget, HOST_MEMORY, max(HOST_MEMORY - held, 0))

    def _see(self, snapshot: Snapshot, moves: Sequence[MoveRow]) -> None:
        self.shown.append(snapshot)
        self.moves += moves
