"""Carrying a plan out: at most one request a guest, each a task of its own with a time limit.

What the engine asked for and what was accepted are compared each tick, so that a request that
failed, that was skipped because one was still under way, or that a killed manager left behind is
made again. Grows go first and wait for nobody. Talks to connectors only.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from aerostat.daemon.clock import Clock, wait_for_all
from aerostat.daemon.names import clean_text
from aerostat.daemon.sampler import Seen
from aerostat.engine.plan import Move, Plan, Reason
from aerostat.errors import AerostatError

# A connector keeps its own limit; past this much more, its task is cancelled.
_GRACE = 1.25

ACCEPTED = "accepted"


@dataclass(slots=True, eq=False)
class Request:
    """One request under way. Times are seconds; `outcome` is "" until it ended."""

    move: Move
    name: str
    sent: float
    wall: float
    task: "asyncio.Task[None] | None" = None
    outcome: str = ""


class Requests:
    """The requests of one manager. `ended` is called with each when it ends."""

    def __init__(self, clock: Clock, limit: float, ended: Callable[[Request], None]) -> None:
        self._clock = clock
        self.limit = limit
        self._ended = ended
        self._under_way: dict[str, Request] = {}
        self.accepted: dict[str, int] = {}
        """The size that each guest's monitor accepted last, bytes."""

    def forget(self, present: Mapping[str, Seen]) -> None:
        """Forget what was accepted for guests that are gone."""
        for key in self.accepted.keys() - present.keys():
            del self.accepted[key]

    def carry_out(self, plan: Plan, guests: Mapping[str, Seen]) -> None:
        """Send what the plan asks and has not been accepted yet; never waits."""
        moves = [move for move in self._due(plan) if move.key in guests]
        for move in sorted(moves, key=lambda move: move.change, reverse=True):
            self.send(move, guests[move.key])

    def send(self, move: Move, guest: Seen) -> None:
        """Send one request, unless this guest has one under way."""
        if move.key in self._under_way:
            return
        request = Request(move, guest.info.name, self._clock.monotonic(), self._clock.wall())
        self._under_way[move.key] = request
        request.task = asyncio.create_task(self._send(request, guest))

    async def finish(self, limit: float) -> None:
        """Wait for what is under way, at most `limit` seconds, then cancel it."""
        tasks = [request.task for request in self._under_way.values() if request.task]
        await wait_for_all(self._clock, tasks, limit)
        for task in tasks:
            task.cancel()
        await wait_for_all(self._clock, tasks, limit)

    def _due(self, plan: Plan) -> list[Move]:
        moves = plan.moves()
        moved = {move.key for move in moves}
        for row in np.flatnonzero(np.isfinite(plan.asked)):
            key, size = plan.keys[row], int(plan.asked[row])
            if key not in moved and self.accepted.get(key) != size:
                reason = Reason(int(plan.reason[row]))
                moves.append(
                    Move(key, int(plan.guest_size[row]), size, reason, plan.sentence(int(row)))
                )
        return moves

    async def _send(self, request: Request, guest: Seen) -> None:
        key, size = request.move.key, request.move.to_size
        setting = asyncio.create_task(guest.connector.set_target(guest.raw_key, size, self.limit))
        try:
            request.outcome = await self._outcome(setting)
            if request.outcome == ACCEPTED:
                self.accepted[key] = size
        except asyncio.CancelledError:
            request.outcome = "failed: the manager stopped"
            raise
        finally:
            self._ended(request)
            if not setting.done():
                # Not stacked: the guest takes another request only when this one is really over.
                setting.cancel()
                await asyncio.wait([setting])
            if not setting.cancelled():
                setting.exception()  # seen, whatever it is
            del self._under_way[key]

    async def _outcome(self, setting: "asyncio.Task[None]") -> str:
        if not await wait_for_all(self._clock, [setting], self.limit * _GRACE):
            return f"failed: no answer within {self.limit:g} s"
        error = asyncio.CancelledError() if setting.cancelled() else setting.exception()
        if error is None:
            return ACCEPTED
        ours = isinstance(error, AerostatError)
        return f"failed: {clean_text(error if ours else f'{type(error).__name__}: {error}')}"
