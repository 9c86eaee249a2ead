"""What is exported: a table of metric families for each kind of row of a `Snapshot`.

Names follow Prometheus' conventions: base units, the unit in the name, counters end in
``_total`` (added where they are written). What node_exporter has of the host is not repeated.
Guests' are in `guest_families`. Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from aerostat.daemon.snapshot import ConnectorRow, HostRow, ReservationRow, Snapshot

PREFIX = "aerostat_"

Row = TypeVar("Row")
Value = float | None


@dataclass(frozen=True, slots=True)
class Family(Generic[Row]):
    """One metric. `value` gives its sample for a row, None for none."""

    name: str
    help: str
    value: Callable[[Row], Value]
    kind: Literal["gauge", "counter"] = "gauge"

    @property
    def unit(self) -> str:
        """Return the base unit that ends the name, "" for a mere number."""
        last = self.name.rpartition("_")[2]
        return last if last in {"bytes", "seconds", "ratio"} else ""

    @property
    def sample_name(self) -> str:
        """Return the name of its series."""
        return PREFIX + self.name + ("_total" if self.kind == "counter" else "")


def _overcommit(snapshot: Snapshot) -> Value:
    budget = sum(host.budget or 0 for host in snapshot.hosts)
    return sum(guest.max_size or 0 for guest in snapshot.guests) / budget if budget else None


MANAGER: tuple[Family[Snapshot], ...] = (
    Family(
        "managing",
        "Whether balloons are moved (1), or only observed (0).",
        lambda snapshot: snapshot.mode == "manage",
    ),
    Family(
        "policy_interval_seconds",
        "Time from the beginning of one cycle to that of the next, as configured.",
        lambda snapshot: snapshot.interval,
    ),
    Family(
        "policy_last_cycle_timestamp_seconds",
        "When the newest cycle ended.",
        lambda snapshot: snapshot.wall,
    ),
    Family(
        "reclaimed_bytes",
        "Memory that balloons have taken from guests.",
        lambda snapshot: snapshot.taken,
        kind="counter",
    ),
    Family(
        "returned_bytes",
        "Memory that balloons have given back to guests.",
        lambda snapshot: snapshot.given,
        kind="counter",
    ),
    Family(
        "problems",
        "What is wrong with the manager itself at present; its log and its view say what.",
        lambda snapshot: len(snapshot.problems),
    ),
    Family(
        "journal_ok",
        "Whether the journal takes all that is to be recorded; absent where none is kept.",
        lambda snapshot: None if snapshot.journal == "off" else snapshot.journal == "ok",
    ),
    Family(
        "config_last_reload_successful",
        "Whether all of the newest configuration is in force.",
        lambda snapshot: snapshot.config_problem is None,
    ),
    Family(
        "config_last_reload_success_timestamp_seconds",
        "When the configuration that is in force was read.",
        lambda snapshot: snapshot.config_loaded_wall,
    ),
    Family(
        "host_overcommit_ratio",
        "What the guests would have with empty balloons, as a part of the budget.",
        _overcommit,
    ),
)

HOST: tuple[Family[HostRow], ...] = (
    Family(
        "host_budget_bytes",
        "What all guests together may hold.",
        lambda host: host.budget,
    ),
    Family(
        "host_available_bytes",
        "What the host could give to guests now, of its budget and of its memory.",
        lambda host: host.available,
    ),
    Family(
        "host_held_bytes",
        "What the guests occupy on the host.",
        lambda host: host.held,
    ),
    Family(
        "host_permitted_bytes",
        "What the guests may use by the sizes that they have.",
        lambda host: host.permitted,
    ),
    Family(
        "host_outstanding_bytes",
        "What the guests may use and do not hold yet.",
        lambda host: host.outstanding,
    ),
    Family(
        "host_exposed_bytes",
        "How far the guests may go beyond the budget.",
        lambda host: host.exposure,
    ),
    Family(
        "host_granted_bytes",
        "What was granted to guests and not seen used yet.",
        lambda host: host.granted,
    ),
    Family(
        "host_spare_bytes",
        "What could be granted at once.",
        lambda host: host.spare,
    ),
    Family(
        "host_reserved_bytes",
        "What is kept for guests to come.",
        lambda host: host.reserved,
    ),
    Family(
        "host_reserved_backed_bytes",
        "How much of that is there now, and permitted to nobody.",
        lambda host: host.reserved_backed,
    ),
    Family(
        "host_pressure_ratio",
        "Part of the last seconds in which some task of the host waited for memory.",
        lambda host: host.pressure,
    ),
)

CONNECTOR: tuple[Family[ConnectorRow], ...] = (
    Family(
        "connector_up",
        "Whether the connector answered when it was asked last.",
        lambda connector: connector.problem is None,
    ),
    Family(
        "connector_guests",
        "Guests that the connector knows.",
        lambda connector: connector.guests,
    ),
    Family(
        "connector_helper_restarts",
        "How often the connector's helper process was started again.",
        lambda connector: connector.helper_restarts,
        kind="counter",
    ),
)

RESERVATION: tuple[Family[ReservationRow], ...] = (
    Family(
        "reservation_bytes",
        "Memory that is kept for a guest to come.",
        lambda reservation: reservation.size,
    ),
    Family(
        "reservation_backed",
        "Whether all of it is there.",
        lambda reservation: reservation.backed,
    ),
    Family(
        "reservation_lease_seconds",
        "For how long it is kept yet.",
        lambda reservation: reservation.left,
    ),
)
