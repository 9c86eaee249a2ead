"""What the manager shows: one frozen `Snapshot` a tick, for views, the API and the journal.

Plain values only: sizes are bytes, times seconds, None means unknown, text is clean (see
`names`). Nothing here reads a clock or a guest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, overload

import msgspec

from aerostat.errors import UsageError

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class MoveRow:
    """One balloon that was moved, or would have been (`outcome` is ``observed``).

    `outcome` is ``sent``, ``accepted``, ``failed: WHY`` or ``observed``. `time` is monotonic,
    `wall` is seconds since the epoch.
    """

    key: str
    name: str
    from_size: int
    to_size: int
    reason: str
    sentence: str
    time: float
    wall: float
    outcome: str


@dataclass(frozen=True, slots=True)
class HostRow:
    """The accounts of one host, in bytes (see `aerostat.engine.plan`).

    `pressure` is the share of the last seconds (0 to 1) in which some task waited for memory,
    `swap_out_rate` bytes a second; `reserved` is what leases claim, and `reserved_backed` how much
    of it is there and permitted to nobody.
    """

    name: str
    budget: int | None = None
    available: int | None = None
    held: int | None = None
    permitted: int | None = None
    outstanding: int | None = None
    exposure: int | None = None
    granted: int | None = None
    spare: int | None = None
    pressure: float | None = None
    swap_out_rate: float | None = None
    reserved: int = 0
    reserved_backed: int = 0


@dataclass(frozen=True, slots=True)
class ReservationRow:
    """Room that is kept for a guest to come.

    `size` in bytes, `left` the seconds of its lease, and `backed` whether the room is there by now.
    """

    name: str
    size: int
    left: float
    backed: bool


@dataclass(frozen=True, slots=True)
class ConnectorRow:
    """One way to reach guests: how many it knows, and what is wrong with it.

    `helper_restarts` is how often its helper was started again, where it has one.
    """

    name: str
    guests: int = 0
    problem: str | None = None
    helper_restarts: int | None = None


@dataclass(frozen=True, slots=True)
class GuestRow:
    """One guest: what it said, what the host sees, what the engine thinks.

    Rates are per second between the two newest samples: faults a second, and bytes a second for
    swap. `condition` is an engine condition in lower case, or ``unreachable`` for a guest that
    has never been read; `error` says why the newest attempt failed. `target_size` is what was
    asked for last, or would be asked for now where the manager only observes.

    `way` is how its figures came, ``queue`` or ``agent``. `condition_since` is how many seconds ago
    the condition began; `speed_up` and `speed_down` are how fast its balloon was seen to give and
    to take, bytes a second. `next_sample` is in how many seconds it is looked at again, and
    `block_read_rate` what it reads from its disks, bytes a second. `held_by_operator` is true for a
    guest that is not moved because somebody said so.
    """

    key: str
    name: str
    source: str
    max_size: int | None = None
    guest_size: int | None = None
    target_size: int | None = None
    held: int | None = None
    total_memory: int | None = None
    free_memory: int | None = None
    available_memory: int | None = None
    disk_caches: int | None = None
    major_fault_rate: float | None = None
    swap_in_rate: float | None = None
    swap_out_rate: float | None = None
    pressure: float | None = None
    confidence: float | None = None
    sample_age: float | None = None
    condition: str = "unreachable"
    demand: int | None = None
    reserve: int | None = None
    entitlement: int | None = None
    guarantee: int | None = None
    ceiling: int | None = None
    shares: float | None = None
    managed: bool = True
    pinned: int | None = None
    last_move: str | None = None
    last_move_age: float | None = None
    failures: int = 0
    error: str | None = None
    uuid: str | None = None
    connector: str | None = None
    way: str | None = None
    condition_since: float | None = None
    speed_up: float | None = None
    speed_down: float | None = None
    next_sample: float | None = None
    block_read_rate: float | None = None
    held_by_operator: bool = False
    statistics: Mapping[str, int] = field(default_factory=dict)


class Rows(Sequence[GuestRow]):
    """Rows of guests, made when somebody first looks at one; `count` says how many they will be.

    With many guests they are most of the work of a tick, and mostly nobody looks. `make` returns
    the same whenever, and on whichever thread, it is called.
    """

    def __init__(self, count: int, make: Callable[[], tuple[GuestRow, ...]]) -> None:
        self._count = count
        self._make = make
        self._rows: tuple[GuestRow, ...] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> GuestRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[GuestRow]: ...
    def __getitem__(self, index: int | slice) -> GuestRow | Sequence[GuestRow]:
        return self._all()[index]

    def __iter__(self) -> Iterator[GuestRow]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._all() == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def _all(self) -> tuple[GuestRow, ...]:
        if self._rows is None:
            self._rows = self._make()
        return self._rows


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole house after one tick.

    `time` is monotonic and `wall` seconds since the epoch; `mode` is ``manage`` or ``observe``;
    `taken` and `given` are the bytes that accepted moves have asked for since the start;
    `journal` is ``ok``, ``off`` or what is wrong with it; `problems` are sentences about
    connectors, the state file and the like. `config_loaded_wall` is when the configuration that
    holds was read, `config_problem` what was wrong with a newer one, or what of it waits for the
    next start.
    """

    time: float
    wall: float
    mode: str = "observe"
    tick: int = 0
    tick_duration: float = 0.0
    interval: float = 1.0
    hosts: tuple[HostRow, ...] = ()
    guests: Sequence[GuestRow] = ()
    moves: int = 0
    failures: int = 0
    taken: int = 0
    given: int = 0
    journal: str = "off"
    problems: tuple[str, ...] = ()
    reservations: tuple[ReservationRow, ...] = ()
    connectors: tuple[ConnectorRow, ...] = ()
    config_loaded_wall: float | None = None
    config_problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values ready for a JSON encoder, with the schema's number."""
        return {"schema": SCHEMA, **msgspec.to_builtins(replace(self, guests=tuple(self.guests)))}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the snapshot that `to_json` gave; raises `UsageError` for any other thing."""
        schema = values.get("schema")
        if schema != SCHEMA:
            raise UsageError(f"snapshot of schema {schema!r}; this aerostat reads {SCHEMA}")
        try:
            read = msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise UsageError(f"not a snapshot: {error}") from error
        return replace(read, guests=tuple(read.guests))

    def find(self, name: str) -> tuple[GuestRow, ...]:
        """Return the guests that `name` means: those with this key, else UUID, else name."""
        for attribute in ("key", "uuid", "name"):
            found = tuple(guest for guest in self.guests if getattr(guest, attribute) == name)
            if found:
                return found
        return ()
