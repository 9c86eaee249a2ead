"""From what was seen and planned to what is shown: builds the rows of a `Snapshot`. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aerostat.balloon.statistics import Tag
from aerostat.daemon.columns import sample_time
from aerostat.daemon.orders import Orders
from aerostat.daemon.pace import Pace
from aerostat.daemon.promises import Promises
from aerostat.daemon.rates import Rates
from aerostat.daemon.sampler import Seen
from aerostat.daemon.snapshot import GuestRow, HostRow, MoveRow
from aerostat.engine.conditions import Condition
from aerostat.engine.observation import Hosts
from aerostat.engine.plan import Plan
from aerostat.hypervisors.base import Reading


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that rows are made of, at `now` (monotonic seconds).

    `plan` is None before the first step of the engine.
    """

    now: float
    promises: Promises
    plan: Plan | None
    rates: Mapping[str, Rates]
    orders: Orders
    last_moves: Mapping[str, MoveRow]
    accepted: Mapping[str, int]
    pace: Pace

    def guests(self, seen: Sequence[Seen]) -> tuple[GuestRow, ...]:
        """Return a row for each guest, by name."""
        keys = () if self.plan is None else self.plan.keys
        places = {key: row for row, key in enumerate(keys)}
        rows = (self._guest(guest, places.get(guest.info.key)) for guest in seen)
        return tuple(sorted(rows, key=lambda row: (row.name, row.key)))

    def _guest(self, seen: Seen, place: int | None) -> GuestRow:
        fields = self._met(seen)
        if seen.reading is not None:
            fields |= self._read(seen, seen.reading)
            if self.plan is not None and place is not None:
                fields |= self._thought(seen.info.key, self.plan, place, seen.reading)
        return GuestRow(**fields)

    def _met(self, seen: Seen) -> dict[str, Any]:
        """Return what is known of a guest that is only known to be there."""
        info = seen.info
        return {
            "key": info.key,
            "name": info.name,
            "source": info.source,
            "uuid": info.uuid,
            "connector": seen.connector.name,
            "failures": seen.failures,
            "error": seen.error or None,
            "held_by_operator": info.key in self.orders.holds,
        }

    def _read(self, seen: Seen, reading: Reading) -> dict[str, Any]:
        """Return what was read of it, and what it is promised for that."""
        key, figures = seen.info.key, reading.statistics
        promise = self.promises.of(seen.info, reading.max_size)
        rates = self.rates.get(key, Rates())
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
            "next_sample": self.pace.next_look(key, self.now),
            "guarantee": promise.guarantee,
            "ceiling": promise.ceiling,
            "shares": promise.shares,
            "managed": promise.managed,
            "pinned": self.orders.pins.get(key),
            "statistics": seen.named,
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
