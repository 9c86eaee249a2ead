"""From what was seen and planned to what is shown: builds the rows of a `Snapshot`. Pure."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from aerostat.balloon.statistics import Tag
from aerostat.daemon.columns import sample_time
from aerostat.daemon.config.tables import Promise
from aerostat.daemon.names import named_statistics
from aerostat.daemon.pace import Schedule
from aerostat.daemon.rates import UNKNOWN, Rates
from aerostat.daemon.snapshot import GuestRow, HostRow, MoveRow
from aerostat.engine.conditions import Condition
from aerostat.engine.observation import Hosts
from aerostat.engine.plan import Plan
from aerostat.hypervisors.base import GuestInfo, Reading


class Look(NamedTuple):
    """One guest as it was in a tick; `reading` and `promise` are None before it was ever read."""

    info: GuestInfo
    connector: str
    failures: int
    error: str
    reading: Reading | None = None
    promise: Promise | None = None
    rates: Rates = UNKNOWN


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that rows are made of, at `now` (monotonic seconds).

    Nothing in it changes afterwards: rows are made when somebody looks at them, which may be later
    and on another thread. `plan` is None before the first step of the engine. The mappings are by
    the guests' keys.
    """

    now: float
    plan: Plan | None
    looks: Sequence[Look]
    pins: Mapping[str, int]
    holds: Collection[str]
    last_moves: Mapping[str, MoveRow]
    accepted: Mapping[str, int]
    schedule: Schedule

    def rows(self) -> tuple[GuestRow, ...]:
        """Return a row for each guest, by name."""
        keys = () if self.plan is None else self.plan.keys
        places = {key: row for row, key in enumerate(keys)}
        rows = (self._guest(look, places.get(look.info.key)) for look in self.looks)
        return tuple(sorted(rows, key=lambda row: (row.name, row.key)))

    def _guest(self, look: Look, place: int | None) -> GuestRow:
        fields = self._met(look)
        if look.reading is not None and look.promise is not None:
            fields |= self._read(look.info.key, look.reading, look.promise, look.rates)
            if self.plan is not None and place is not None:
                fields |= self._thought(look.info.key, self.plan, place, look.reading)
        return GuestRow(**fields)

    def _met(self, look: Look) -> dict[str, Any]:
        """Return what is known of a guest that is only known to be there."""
        info = look.info
        return {
            "key": info.key,
            "name": info.name,
            "source": info.source,
            "uuid": info.uuid,
            "connector": look.connector,
            "failures": look.failures,
            "error": look.error or None,
            "held_by_operator": info.key in self.holds,
        }

    def _read(self, key: str, reading: Reading, promise: Promise, rates: Rates) -> dict[str, Any]:
        """Return what was read of it, and what it is promised for that."""
        figures = reading.statistics
        sampled = sample_time(reading, self.now)
        return {
            "max_size": reading.max_size,
            "guest_size": reading.guest_size,
            "held": reading.held,
            "total_memory": figures.get(Tag.TOTAL_MEMORY),
            "free_memory": figures.get(Tag.FREE_MEMORY),
            "available_memory": figures.get(Tag.AVAILABLE_MEMORY),
            "disk_caches": figures.get(Tag.DISK_CACHES),
            "major_fault_rate": rates.major_faults,
            "swap_in_rate": rates.swap_in,
            "swap_out_rate": rates.swap_out,
            "block_read_rate": rates.block_reads,
            "sample_age": None if sampled is None else max(0.0, self.now - sampled),
            "way": reading.way,
            "next_sample": self.schedule.next_look(key, self.now),
            "guarantee": promise.guarantee,
            "ceiling": promise.ceiling,
            "shares": promise.shares,
            "managed": promise.managed,
            "pinned": self.pins.get(key),
            "statistics": named_statistics(figures),
        }

    def _thought(self, key: str, plan: Plan, place: int, reading: Reading) -> dict[str, Any]:
        """Return what the engine makes of it."""
        move = self.last_moves.get(key)
        return {
            "target_size": self._target(key, plan, place, reading),
            "pressure": _known(plan.pressure[place]),
            "confidence": _known(plan.confidence[place]),
            "condition": Condition(int(plan.condition[place])).name.lower(),
            "condition_since": _known(max(self.now - plan.condition_since[place], 0.0)),
            "demand": _bytes(plan.demand[place]),
            "reserve": _bytes(plan.reserve[place]),
            "entitlement": _bytes(plan.entitlement[place]),
            "last_move": move.sentence if move else None,
            "last_move_age": max(0.0, self.now - move.time) if move else None,
            "speed_up": _known(plan.speed_up[place]),
            "speed_down": _known(plan.speed_down[place]),
        }

    def _target(self, key: str, plan: Plan, place: int, reading: Reading) -> int:
        """Return the size asked for now, or still under way, or last; or else the size there is."""
        for size in (plan.target_size[place], plan.asked[place]):
            if math.isfinite(size):
                return int(size)
        return self.accepted.get(key, reading.guest_size)


def host_rows(hosts: Hosts, plan: Plan) -> tuple[HostRow, ...]:
    """Return a row for each host."""
    accounts = plan.accounts
    return tuple(
        HostRow(
            name=name,
            budget=_bytes(accounts.budget[row]),
            available=_bytes(hosts.available[row]),
            held=_bytes(accounts.held[row]),
            permitted=_bytes(accounts.permitted[row]),
            outstanding=_bytes(accounts.outstanding[row]),
            exposure=_bytes(accounts.exposure[row]),
            granted=_bytes(accounts.granted[row]),
            spare=_bytes(accounts.spare[row]),
            pressure=_known(hosts.pressure[row]),
            swap_out_rate=_known(hosts.swap_out[row]),
            reserved=_bytes(hosts.reserved[row]) or 0,
            reserved_backed=_bytes(plan.reserved_backed[row]) or 0,
        )
        for row, name in enumerate(hosts.names)
    )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _bytes(value: float) -> int | None:
    return int(value) if math.isfinite(value) else None
