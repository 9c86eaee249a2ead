"""The guests of one block as they come and go: who is there, where, and how the model has them.

Adapter; NumPy, no I/O. This is where the simulator touches the model.
"""

from collections.abc import Iterator
from math import inf
from typing import NamedTuple

import numpy as np

from aerostat.engine.observation import FloatArray, IntArray
from aerostat.model.advance import advance
from aerostat.model.columns import whole
from aerostat.model.plans import Plans
from aerostat.model.state import State
from aerostat.model.statistics import statistics
from aerostat.simulator.world import World


class Presence(NamedTuple):
    """Who is there: made anew only when that changes, so that policies find the same keys."""

    rows: IntArray | slice
    """A slice where all are: then columns need not be copied."""
    keys: tuple[str, ...]
    house: IntArray


class _Event(NamedTuple):
    at: float
    guest: int
    max_size: float
    """What is plugged in, or 0, ..."""
    house: int
    """... and where the guest moves, or -1."""


class Population:
    """The guests of a block; what happens to them changes it in place."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._fresh = _booted(world)
        self.state = _booted(world)
        self.plans = Plans.of([guest.plan for guest in world.guests])
        self.house = world.house.copy()
        self.present = np.zeros(len(world), dtype=np.bool_)
        self.target_size = self.state.size.copy()
        self._events = sorted(_events(world), reverse=True)
        self._next_change = -inf
        self.presence = Presence(np.zeros(0, dtype=np.int64), (), np.zeros(0, dtype=np.int64))

    def move_on(self, now: float) -> IntArray:
        """Let guests come, go, grow and move; return the rows of those that have come."""
        while self._events and self._events[-1].at <= now:
            event = self._events.pop()
            if event.max_size:
                self._plug(event.guest, event.max_size)
            if event.house >= 0:
                self.house[event.guest] = event.house
                self._next_change = now
        if now < self._next_change:
            return np.zeros(0, dtype=np.int64)
        present = (self.plans.arrives <= now) & (now < self.plans.departs)
        come = np.flatnonzero(present & ~self.present)
        self.present = present
        later = np.concatenate([self.plans.arrives, self.plans.departs])
        self._next_change = float(np.min(later[later > now], initial=inf))
        keys = self._world.keys
        if present.all():
            self.presence = Presence(slice(None), keys, self.house.copy())
        else:
            rows = np.flatnonzero(present)
            shown = tuple(keys[row] for row in rows.tolist())
            self.presence = Presence(rows, shown, self.house[rows])
        return come

    def boot(self, rows: IntArray, sizes: FloatArray) -> None:
        """Let guests begin with these sizes, as far as that leaves them what they occupy."""
        balloon = np.clip(self.state.size[rows] - sizes, 0.0, self.state.free[rows])
        balloon = whole(np.minimum(balloon, self.state.untouched[rows]))
        self.state.balloon[rows] += balloon
        self.state.free[rows] -= balloon
        self.state.untouched[rows] -= balloon
        self.target_size[rows] = self.state.size[rows] - self.state.balloon[rows]

    def restart(self, rows: IntArray, at: float) -> None:
        """End guests, and let them come again at that moment as new ones."""
        self.state.table[:, rows] = self._fresh.table[:, rows]
        self.target_size[rows] = self.state.size[rows]
        self.plans.arrives[rows] = at
        self.present[rows] = False
        self._next_change = -inf

    def held(self) -> FloatArray:
        """Return what each guest occupies on its host; nothing where it is not there."""
        return self.state.held * self.present

    def guest_size(self) -> FloatArray:
        """Return the RAM left to each guest; nothing where it is not there."""
        return (self.state.size - self.state.balloon) * self.present

    def statistics(self) -> FloatArray:
        """Return what the guests' drivers would send now in full, shape (guests, 16)."""
        return statistics(self.state)

    def block_reads(self) -> FloatArray:
        """Return what each guest has read from its disks since it started, bytes."""
        return self.state.block_reads.copy()

    def live(
        self, now: float, stall: FloatArray, substep: float, count: int, *, compiled: bool
    ) -> FloatArray:
        """Let `count` substeps pass for those that are there; return the seconds lost."""
        plans, target_size = self.plans, self.target_size
        outcome = advance(
            self.state, plans, target_size, stall, now, substep, count, compile=compiled
        )
        return outcome.lost

    def _plug(self, guest: int, max_size: float) -> None:
        """Give a guest more memory; its balloon is to be as large as before."""
        more = max_size - self.state.size[guest]
        for state in (self.state, self._fresh):
            state.plug([guest], more)
        self.target_size[guest] += more
        # The same target means another balloon now, and must not be taken for old news.
        self.state.asked_size[guest] = np.nan


def _booted(world: World) -> State:
    return State.boot(
        world.column("max_size"),
        swap_size=world.column("swap_size"),
        deflate_on_oom=world.column("deflate_on_oom"),
        reporting=world.column("reporting"),
    )


def _events(world: World) -> Iterator[_Event]:
    houses = {house.name: row for row, house in enumerate(world.houses)}
    for row, guest in enumerate(world.guests):
        for plug in guest.plugs:
            yield _Event(plug.at, row, plug.max_size, -1)
        for migration in guest.migrations:
            yield _Event(migration.at, row, 0.0, houses[migration.to])
