"""A guest's moves, one after another: why, what was asked, what came of it and when.

Goes through a journal's ticks once, and does their steps again to know what the engine knew at
each moment. Pure but for the journal that it reads.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aerostat.balloon.statistics import NAMES, Tag
from aerostat.daemon.journal.file import Event
from aerostat.daemon.journal.reading import Tick
from aerostat.daemon.names import clean_text
from aerostat.daemon.snapshot import MoveRow
from aerostat.engine.accounts import SETTLED
from aerostat.engine.conditions import Condition
from aerostat.engine.plan import Plan, Reason
from aerostat.replay.steps import Replayed

ACCEPTED = "accepted"
_QUIET = {"fresh", "draining"}
"""Conditions of a guest with which all is well."""


@dataclass(slots=True)
class Moved:
    """A move and what came of it. Sizes are bytes, times seconds; None is not known."""

    move: MoveRow
    estimates: dict[str, Any] | None = None
    """What the engine knew when it decided so."""
    reached_after: float | None = None
    """How long after it was asked the balloon had arrived."""
    last_size: int | None = None
    """The newest size before the next move, or now."""
    held_before: int | None = None
    held_after: int | None = None
    """When the balloon had arrived, or at the end where it has not."""
    watched: float = 0.0
    """For how long its balloon was watched until the next move."""

    @property
    def wall(self) -> float:
        """When it was asked: wall seconds."""
        return self.move.wall

    def follow(self, now: float, size: float, held: float) -> None:
        """Take in what the next tick saw: at `now`, in wall seconds."""
        self.watched = max(0.0, now - self.move.wall)
        self.last_size = _whole(size)
        if self.reached_after is not None:
            return  # what it holds from here on is its own doing
        self.held_after = _whole(held)
        if abs(size - self.move.to_size) <= SETTLED:
            self.reached_after = self.watched

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON encoder."""
        return {"kind": "move", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Turned:
    """A guest's condition became another."""

    wall: float
    before: str
    after: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON encoder."""
        return {"kind": "condition", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that is no move: the manager started, or met a problem."""

    wall: float
    what: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON encoder."""
        return {"kind": "event", **asdict(self)}


Entry = Moved | Turned | Happened


class Timeline:
    """Built by feeding it each tick; `entries` in order, `last` what is known at the end.

    `moves` are the guest's, the oldest first. `replayed` may be None for a tick whose step could
    not be done again.
    """

    def __init__(self, key: str, moves: Iterable[MoveRow], events: Iterable[Event] = ()) -> None:
        self.entries: list[Entry] = [Happened(one.wall, one.kind, one.text) for one in events]
        self.last: dict[str, Any] | None = None
        """The newest tick's figures, as `Manager.explain_values` has them."""
        self._key = key
        self._moves = list(reversed(list(moves)))
        self._open: Moved | None = None
        self._condition: str | None = None

    def feed(self, tick: Tick, replayed: Replayed | None) -> None:
        """Take in the next tick."""
        seen = tick.observation
        # A move belongs to the tick before it, which decided it.
        while self._moves and self._moves[-1].wall < seen.wall:
            self._begin(self._moves.pop())
        if self._key not in seen.guests.keys:
            return
        row = seen.guests.keys.index(self._key)
        if self._open is not None:
            self._open.follow(seen.wall, seen.guests.guest_size[row], seen.guests.held[row])
        if tick.decided is not None:
            self._turn(seen.wall, tick.decided.condition[row])
        self.last = values_at(tick, replayed, self._key)

    def finish(self) -> list[Entry]:
        """Return all there is, the oldest first."""
        while self._moves:
            self._begin(self._moves.pop())
        return sorted(self.entries, key=lambda entry: entry.wall)

    def _begin(self, move: MoveRow) -> None:
        last = self.last or {}
        held = (last.get("sample") or {}).get("held")
        self._open = Moved(move, last.get("estimates"), held_before=held)
        self.entries.append(self._open)

    def _turn(self, wall: float, condition: str) -> None:
        before, self._condition = self._condition, condition
        if before is not None and before != condition and {before, condition} - _QUIET:
            self.entries.append(Turned(wall, before, condition))


def values_at(tick: Tick, replayed: Replayed | None, key: str) -> dict[str, Any]:
    """Return what was known of a guest at a tick, in the shape of `Manager.explain_values`."""
    seen = tick.observation
    row = seen.guests.keys.index(key)
    names = seen.names or seen.guests.keys
    guests = seen.guests
    figures = {
        NAMES[tag]: int(guests.statistics[row, tag])
        for tag in Tag
        if np.isfinite(guests.statistics[row, tag])
    }
    plan = None if replayed is None else replayed.plan
    return {
        "key": key,
        "name": names[row],
        "wall": seen.wall,
        "sample": {
            "max_size": _whole(guests.max_size[row]),
            "guest_size": _whole(guests.guest_size[row]),
            "held": _whole(guests.held[row]),
            "sample_age": _number(seen.time - guests.sample_time[row]),
            "statistics": figures,
        },
        "bounds": {
            "guarantee": _whole(guests.guarantee[row]),
            "ceiling": _whole(guests.ceiling[row]),
            "shares": _number(guests.shares[row]),
            "entitlement": None if plan is None else _whole(plan.entitlement[row]),
            "managed": bool(guests.managed[row]),
            "pinned": _whole(guests.pinned[row]),
        },
        "estimates": None if plan is None else _estimates(plan, row),
        "decision": None if plan is None else _decision(plan, row, seen.time),
    }


def _estimates(plan: Plan, row: int) -> dict[str, Any]:
    sizes = ("demand", "reserve", "idle", "want", "aim", "entitlement")
    shares = ("pressure", "confidence")
    return {name: _whole(getattr(plan, name)[row]) for name in sizes} | {
        name: _number(round(float(getattr(plan, name)[row]), 4)) for name in shares
    }


def _decision(plan: Plan, row: int, now: float) -> dict[str, Any]:
    return {
        "condition": Condition(int(plan.condition[row])).name.lower(),
        "condition_since": _number(now - plan.condition_since[row]),
        "reason": Reason(int(plan.reason[row])).name.lower(),
        "sentence": clean_text(plan.sentence(row)),
        "target_size": _whole(plan.target_size[row]),
        "asked": _whole(plan.asked[row]),
    }


def _whole(value: float) -> int | None:
    return int(value) if np.isfinite(value) else None


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
