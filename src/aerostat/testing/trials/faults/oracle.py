"""The promises, held against what the managers' journals and snapshots say. Pure.

A journal has what each step of the engine was fed, and what it decided: whether a guest was
squeezed in the dark, or more was permitted than there was, is reckoned from that, without the
engine.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from aerostat.daemon.journal.reading import Tick
from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.engine.accounts import SETTLED
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.units import format_size

#: What is held against what was seen: a name each, and in words.
PROMISES = {
    "memory": "no page of any guest is ever anything but what was written to it",
    "deaths": "nobody ends but who was killed, or who lost its device and cannot do without",
    "guarantee": "no target is below a guest's guarantee",
    "ledger": "permissions grow only into what is free",
    "darkness": "no squeeze without fresh figures, but under contention to the entitlement",
    "honesty": "no figure is dated to a time at which its guest could not speak",
    "others": "guests that no fault befell are looked at as ever",
    "recovery": "after the last fault all is well again in time",
    "leaks": "no process, descriptor or memory is lost on the way",
    "state": "what a killed manager leaves can be read, and the next one carries on from it",
    "reasons": "every move has its reason, in words",
    "observing": "a manager that only looks moves nobody",
}

_FRESH_FOR = Settings().fresh_for
# In the dark these are no squeeze: what is on its way is called off.
_CALLED_OFF = ("withdraw", "ease")
_IN_THE_DARK = ("shrink_blind", "shrink_survival")
# What was under way when somebody was stopped may still arrive.
_MOMENT = 0.1


class Violation(NamedTuple):
    """A promise that was broken, and how."""

    promise: str
    what: str


class Darkness(NamedTuple):
    """A time, in monotonic seconds, within which guest `name` could tell nobody anything."""

    name: str
    began: float
    ended: float


@dataclass(slots=True)
class _Account:
    """One guest, bytes: what it was asked last, what it held, what was granted and is not used.

    `spoke` is when its newest figures were made.
    """

    asked: float = math.nan
    held: float = math.nan
    granted: float = 0.0
    spoke: float = -math.inf


@dataclass(slots=True)
class Books:
    """What a manager's journal adds up to, from its first tick on, over its deaths.

    One that does not manage asks nobody for what it decides.
    """

    manages: bool = True
    tick: int = 0
    """The last one that was reckoned."""
    _run: int = 0
    _number: int = 0
    _accounts: dict[str, _Account] = field(default_factory=dict)

    def _begin_anew(self, state: State) -> None:
        for row, key in enumerate(state.keys):
            account = self._accounts.setdefault(key, _Account())
            account.asked = float(state.asked[row])
            account.granted = float(np.nan_to_num(state.granted[row]))

    def reckon(
        self,
        ticks: Iterable[Tick],
        darkness: Sequence[Darkness] = (),
        entitlements: Mapping[tuple[float, str], int] | None = None,
    ) -> Iterator[Violation]:
        """Yield what is wrong with the next ticks.

        `entitlements` are what snapshots said, by time and key.
        """
        for tick in ticks:
            if tick.run == self._run and tick.number != self._number + 1 and tick.state is not None:
                self._begin_anew(tick.state)  # a full disk could not take what was between
            self.tick, self._run, self._number = tick.id, tick.run, tick.number or 0
            yield from _dishonest(tick, darkness)
            if tick.decided is not None:
                yield from self._decided(tick, entitlements or {})

    def _decided(
        self, tick: Tick, entitlements: Mapping[tuple[float, str], int]
    ) -> Iterator[Violation]:
        assert tick.decided is not None
        seen, guests, decided = tick.observation, tick.observation.guests, tick.decided
        permitted_sum = held_sum = granted_sum = grants = 0.0
        for row, key in enumerate(guests.keys):
            size, target = float(guests.guest_size[row]), float(decided.target_size[row])
            account = self._accounts.setdefault(key, _Account())
            asked = account.asked if abs(account.asked - size) > SETTLED else size
            permitted = size if math.isnan(asked) else max(size, asked)
            held = float(guests.held[row])
            held = permitted if math.isnan(held) else held
            used = max(0.0, held - account.held) if not math.isnan(account.held) else 0.0
            account.granted = min(max(0.0, account.granted - used), max(0.0, permitted - held))
            account.held = held
            account.spoke = max(account.spoke, float(np.nan_to_num(guests.sample_time[row])))
            permitted_sum, held_sum = permitted_sum + permitted, held_sum + held
            granted_sum += account.granted
            if math.isnan(target):
                continue
            least = min(float(guests.guarantee[row]), float(guests.max_size[row]))
            if target < least:
                yield Violation("guarantee", f"{key} was to have {format_size(int(target))}")
            age = seen.time - account.spoke
            if target < min(size, permitted) and age > _FRESH_FOR + _MOMENT:
                entitled = entitlements.get((round(seen.time, 3), key), 0)
                yield from _squeezed(key, target, decided.reason[row], age, entitled)
            grant = max(0.0, target - max(permitted, least))
            grants += grant
            if self.manages:
                account.granted += grant
                account.asked = target
        yield from _overdrawn(tick, grants, permitted_sum, held_sum, granted_sum)


def _squeezed(key: str, target: float, why: str, age: float, entitled: int) -> Iterator[Violation]:
    if why in _CALLED_OFF:
        return
    if why not in _IN_THE_DARK or target < entitled - SETTLED:
        said = f"{key} was taken to {format_size(int(target))} ({why}), of {format_size(entitled)}"
        yield Violation("darkness", f"{said} that it is entitled to, with figures {age:.1f} s old")


def _overdrawn(
    tick: Tick, grants: float, permitted: float, held: float, granted: float
) -> Iterator[Violation]:
    hosts, count = tick.observation.hosts, len(tick.observation.guests)
    budget, available = float(hosts.budget[0]), float(hosts.available[0])
    room = budget - held
    room = room if math.isnan(available) else min(room, available)
    cover = max(0.0, budget - permitted, room - granted)
    if grants > cover + count * SETTLED:
        said = f"{format_size(int(grants))} granted in tick {tick.id}"
        yield Violation("ledger", f"{said}, and {format_size(int(cover))} were there")


def _dishonest(tick: Tick, darkness: Sequence[Darkness]) -> Iterator[Violation]:
    seen, guests = tick.observation, tick.observation.guests
    for dark in darkness:
        if not dark.began + _MOMENT < seen.time < dark.ended:
            continue
        for row, name in enumerate(seen.names):
            made = float(guests.sample_time[row])
            if name == dark.name and made > dark.began + _MOMENT:
                late = made - dark.began
                yield Violation("honesty", f"{name} spoke {late:.2f} s after it was silenced")


def mute(moves: Iterable[MoveRow]) -> Iterator[Violation]:
    """Yield the moves without a reason."""
    for move in moves:
        if not (move.reason and move.sentence and move.outcome):
            yield Violation("reasons", f"{move.name} to {format_size(move.to_size)}: {move.reason}")


def moved(moves: Iterable[MoveRow]) -> Iterator[Violation]:
    """Yield the moves of a manager that only looks."""
    for move in moves:
        if move.outcome != "observed":
            yield Violation("observing", f"{move.name}: {move.outcome}")


def neglected(
    snapshots: Iterable[Snapshot], untouched: Collection[str], limit: float
) -> Iterator[Violation]:
    """Yield the guests of `untouched` of which a manager lost sight.

    `limit` is how old figures may be, in seconds. On a machine that has much to do an answer may be
    late for once; that the next one is not is seen by the figures' age.
    """
    for snapshot in snapshots:
        rows = {row.name: row for row in snapshot.guests}
        for name in untouched:
            row = rows.get(name)
            if row is None:
                yield Violation("others", f"{name} is not among the guests any more")
            elif row.sample_age is None or row.sample_age > limit:
                age = "none" if row.sample_age is None else f"{row.sample_age:.1f} s old"
                said = f"{name}: its figures are {age}, tick {snapshot.tick}"
                yield Violation("others", f"{said} {row.error or ''}".rstrip())


def is_well(snapshot: Snapshot, names: Collection[str], since: float) -> bool:
    """Tell whether guests `names` are there, answer, and have said something since `since`."""
    rows = {row.name: row for row in snapshot.guests}
    return all(
        name in rows
        and not rows[name].error
        and rows[name].guest_size is not None
        and (age := rows[name].sample_age) is not None
        and snapshot.time - age > since
        for name in names
    )
