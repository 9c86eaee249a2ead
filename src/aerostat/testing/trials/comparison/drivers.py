"""Who moves the balloons in a run: our manager as it is, a rival's rule, or nobody.

Touches the guests' monitors, and the manager's process.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from aerostat.daemon.clock import SystemClock
from aerostat.daemon.columns import guest_columns, held_by_all
from aerostat.daemon.config import parse
from aerostat.daemon.orders import Orders
from aerostat.daemon.promises import Promises
from aerostat.daemon.sampler import Sampler, Seen
from aerostat.engine.observation import Hosts
from aerostat.engine.policies.base import Policy
from aerostat.errors import AerostatError
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.testing.processes.manager import ManagerProcess
from aerostat.testing.trials.comparison.rivals import contender
from aerostat.testing.trials.comparison.scenes import GUARANTEE

#: The two that are no rule: the manager, and the guests left with all that they have.
OURS = "aerostat"
NOBODY = "nobody"

_LIMIT = 2.0
_KNOWN_WITHIN = 60.0
_LOOK_EVERY = 0.2


class Driver(Protocol):
    """Moves the balloons from `start` to `stop`."""

    @property
    def moves(self) -> int:
        """How many sizes were asked for so far."""

    async def start(self) -> None:
        """Begin; return when all guests are known."""

    async def stop(self) -> None:
        """Leave the guests as they are."""


def driver(name: str, sockets: Sequence[Path], directory: Path, budget: int) -> Driver:
    """Return who moves the balloons behind these sockets. Raises `UsageError`."""
    if name == NOBODY:
        return Nobody()
    if name == OURS:
        return OurManager(sockets, directory, budget)
    return Rule(contender(name), sockets, budget)


async def settle(sockets: Sequence[Path], size: int, within: float = 20.0) -> None:
    """Give all guests the same size to begin with, and wait a little for that.

    So everybody begins with a house that is within its budget.
    """
    connector = QmpConnector([str(socket) for socket in sockets])
    await connector.start()
    try:
        keys = [guest.key for guest in await connector.guests()]
        await asyncio.gather(*(connector.set_target(key, size, _LIMIT) for key in keys))
        for _ in range(round(within / _LOOK_EVERY)):
            if _have(size, await connector.sample(keys, _LIMIT)):
                break
            await asyncio.sleep(_LOOK_EVERY)
    finally:
        await connector.close()


def _have(size: int, answers: Mapping[str, Reading | AerostatError]) -> bool:
    """Tell whether all guests have this size."""
    readings = [answer for answer in answers.values() if isinstance(answer, Reading)]
    return len(readings) == len(answers) and all(one.guest_size <= size for one in readings)


class Nobody:
    """Moves nothing: what guests hold, and lose, with all their memory."""

    moves = 0

    async def start(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""


class OurManager:
    """``aerostat run``, in a process of its own."""

    def __init__(self, sockets: Sequence[Path], directory: Path, budget: int) -> None:
        listed = ", ".join(f'"{socket}"' for socket in sockets)
        self._count = len(sockets)
        self._manager = ManagerProcess(
            directory=directory,
            budget=budget,
            manage=True,
            interval=1.0,
            connectors=f'[guests]\nguarantee = "{GUARANTEE}B"\n'
            f'[[connector]]\nkind = "qmp"\nsockets = [{listed}]\n',
        )

    @property
    def moves(self) -> int:
        """How many sizes were asked for so far."""
        return self._manager.latest.moves

    async def start(self) -> None:
        """Start it. Raises `LinkError`."""
        await self._manager.start()
        await self._manager.snapshot(
            lambda now: sum(bool(row.guest_size) for row in now.guests) == self._count,
            within=_KNOWN_WITHIN,
        )

    async def stop(self) -> None:
        """Stop it as an operator does."""
        await self._manager.stop()


class Rule:
    """A rule in a plain loop: look, decide, ask; what it is shown is what our manager is shown."""

    def __init__(self, policy: Policy, sockets: Sequence[Path], budget: int) -> None:
        self._policy = policy
        self._budget = budget
        self._clock = SystemClock()
        self._sampler = Sampler([QmpConnector([str(socket) for socket in sockets])], self._clock)
        self._count = len(sockets)
        self._promises = Promises(
            parse({"manage": True, "guests": {"guarantee": f"{GUARANTEE}B"}}, "comparison")
        )
        self._task: asyncio.Task[None] | None = None
        self._asked: dict[str, int] = {}
        self.moves = 0

    async def start(self) -> None:
        """Find the guests, and begin. Raises `LinkError` where one does not answer."""
        await self._sampler.start(_LIMIT)
        async with asyncio.timeout(_KNOWN_WITHIN):
            while sum(seen.reading is not None for seen in self._sampler.guests) < self._count:
                await self._sampler.look(_LIMIT)
                await asyncio.sleep(_LOOK_EVERY)
        self._task = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """Let go of the guests. Raises what ended the loop before its time."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._sampler.close(_LIMIT)

    async def _live(self) -> None:
        remembered = self._policy.start()
        while True:
            began = self._clock.monotonic()
            await self._sampler.look(min(_LIMIT, self._policy.interval))
            guests = self._sampler.guests
            now = self._clock.monotonic()
            columns = guest_columns(guests, self._promises, Orders(), now)
            remembered, decided = self._policy.step(remembered, now, self._host(guests), columns)
            by_key = {seen.info.key: seen for seen in guests}
            sizes = zip(columns.keys, decided.target_size, strict=True)
            await asyncio.gather(
                *(self._ask(by_key[key], int(size)) for key, size in sizes if not np.isnan(size))
            )
            passed = self._clock.monotonic() - began
            await asyncio.sleep(max(0.0, self._policy.interval - passed))

    def _host(self, guests: Sequence[Seen]) -> Hosts:
        left = max(self._budget - held_by_all(guests), 0)
        return Hosts.of(
            ("here",),
            budget=np.array([float(self._budget)]),
            available=np.array([float(left)]),
            reserved=np.zeros(1),
        )

    async def _ask(self, guest: Seen, size: int) -> None:
        if self._asked.get(guest.info.key) == size:
            return
        # A guest that cannot be asked now is asked the next time.
        with contextlib.suppress(AerostatError):
            await guest.connector.set_target(guest.raw_key, size, _LIMIT)
            self._asked[guest.info.key] = size
            self.moves += 1
