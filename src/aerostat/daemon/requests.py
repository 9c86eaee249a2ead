"""Carrying a plan out: at most one request a guest, each a task of its own, all with a time limit.

What the engine asked for and what was accepted are compared each tick, so that a request that
failed, that was skipped because one was still under way, or that a killed manager left behind is
made again. Grows go first and wait for nobody. Talks to connectors only.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
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
    task: "asyncio.Task[None]"
    outcome: str = ""


class Requests:
    """The requests of one manager. `ended` is called with each when it ends."""

    def __init__(self, clock: Clock, limit: float, ended: Callable[[Request], None]) -> None:
        self._clock = clock
        self.limit = limit
        self._ended = ended
        self._under_way: dict[str, Request] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self.accepted: dict[str, int] = {}
        """The size that each guest's monitor accepted last, bytes."""

    def forget(self, present: Mapping[str, Seen]) -> None:
        """Forget what was accepted for guests that are gone."""
        for key in self.accepted.keys() - present.keys():
            del self.accepted[key]

    def carry_out(self, plan: Plan, guests: Mapping[str, Seen]) -> None:
        """Send what the plan asks and has not been accepted yet; never waits."""
        moves = [move for move in self._due(plan) if move.key in guests]
        moves.sort(key=lambda move: move.change, reverse=True)
        self._send([(move, guests[move.key]) for move in moves])

    def send(self, move: Move, guest: Seen) -> None:
        """Send one request, unless this guest has one under way."""
        self._send([(move, guest)])

    async def finish(self, limit: float) -> None:
        """Wait for what is under way, at most `limit` seconds, then cancel it."""
        tasks = [request.task for request in self._under_way.values()]
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

    def _send(self, moves: Sequence[tuple[Move, Seen]]) -> None:
        free = [(move, guest) for move, guest in moves if move.key not in self._under_way]
        if free:
            sent = [self._begin(move, guest) for move, guest in free]
            watch = asyncio.create_task(self._watch(sent))
            self._watches.add(watch)
            watch.add_done_callback(self._watches.discard)

    def _begin(self, move: Move, guest: Seen) -> Request:
        setting = guest.connector.set_target(guest.raw_key, move.to_size, self.limit)
        now, wall = self._clock.monotonic(), self._clock.wall()
        request = Request(move, guest.info.name, now, wall, asyncio.create_task(setting))
        self._under_way[move.key] = request
        request.task.add_done_callback(lambda _: self._over(request))
        return request

    async def _watch(self, requests: Sequence[Request]) -> None:
        """Give up those requests that take too long."""
        await wait_for_all(self._clock, [request.task for request in requests], self.limit * _GRACE)
        for request in requests:
            if not request.task.done():
                self._end(request, f"failed: no answer within {self.limit:g} s")
                # Not stacked: the guest takes another request only when this one is really over.
                request.task.cancel()

    def _over(self, request: Request) -> None:
        del self._under_way[request.move.key]
        outcome = _outcome(request.task)
        if not request.outcome:
            self._end(request, outcome)

    def _end(self, request: Request, outcome: str) -> None:
        request.outcome = outcome
        if outcome == ACCEPTED:
            self.accepted[request.move.key] = request.move.to_size
        self._ended(request)


def _outcome(task: "asyncio.Task[None]") -> str:
    if task.cancelled():
        return "failed: the manager stopped"
    error = task.exception()
    if error is None:
        return ACCEPTED
    ours = isinstance(error, AerostatError)
    return f"failed: {clean_text(error if ours else f'{type(error).__name__}: {error}')}"
