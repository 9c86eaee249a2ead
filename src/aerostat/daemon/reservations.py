"""Room that is kept for guests to come: claims with a name, a size and a lease. Pure.

First come, first backed. A reservation ends with its lease, when it is cancelled, or when a guest
of that name (or UUID, or key) is there and has been read: what that guest is permitted is in the
accounts then, and takes its place. Times are monotonic seconds.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from aerostat.daemon.names import NAME_LIMIT, clean_text
from aerostat.daemon.snapshot import ReservationRow
from aerostat.errors import UsageError

# More than one host starts at once; bounds what a client of the API can make the manager keep.
MOST = 256
_LARGEST_SIZE = 1 << 53
LONGEST_LEASE = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Reservation:
    """`size` bytes for the guest `name`, until `until`."""

    name: str
    size: int
    until: float


class Reservations:
    """All reservations of a host, in the order in which they came."""

    def __init__(self) -> None:
        self._by_name: dict[str, Reservation] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._by_name)

    @property
    def total(self) -> int:
        """Return the bytes that they claim together."""
        return sum(reservation.size for reservation in self._by_name.values())

    def make(self, name: str, size: int, lease: float, now: float) -> Reservation:
        """Add one, or change the one of this name. Raises `UsageError`."""
        made = self.checked(name, size, lease, now)
        self._by_name[name] = made
        return made

    def checked(self, name: str, size: int, lease: float, now: float) -> Reservation:
        """Return what `make` would add. Raises `UsageError`."""
        if not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
            raise UsageError(f"a reservation is for a name of 1 to {NAME_LIMIT} printable letters")
        if not 0 < size <= _LARGEST_SIZE:
            raise UsageError("a reservation is of more than nothing, and of what a host can have")
        if name not in self._by_name and len(self) >= MOST:
            raise UsageError(f"there are {MOST} reservations already; cancel one")
        return Reservation(name, size, now + _checked_lease(lease))

    def of(self, name: str) -> Reservation:
        """Return the one of this name. Raises `UsageError`."""
        reservation = self._by_name.get(name)
        if reservation is None:
            raise UsageError(f"nothing is reserved for {clean_text(name)}")
        return reservation

    def cancel(self, name: str) -> None:
        """End the one of this name. Raises `UsageError`."""
        del self._by_name[self.of(name).name]

    def end_expired(self, now: float) -> list[Reservation]:
        """End those whose lease is over, and return them."""
        return self._end([r.name for r in self._by_name.values() if r.until <= now])

    def end_arrived(self, names: Collection[str]) -> list[Reservation]:
        """End those whose guest is there, being called one of `names`, and return them."""
        return self._end([name for name in self._by_name if name in names])

    def rows(self, now: float, backed: float) -> tuple[ReservationRow, ...]:
        """Return what is shown of them, where `backed` bytes are there for them all."""
        rows = []
        needed = 0
        for name, size, until in ((r.name, r.size, r.until) for r in self._by_name.values()):
            needed += size
            rows.append(ReservationRow(name, size, max(until - now, 0.0), needed <= backed))
        return tuple(rows)

    def to_list(self) -> list[dict[str, Any]]:
        """Return them as plain values, for the state file."""
        return [{"name": r.name, "size": r.size, "until": r.until} for r in self._by_name.values()]

    def restore(self, saved: list[Mapping[str, Any]], now: float) -> None:
        """Take back what `to_list` gave, less what has expired. Raises on anything else."""
        for entry in saved:
            left = min(float(entry["until"]) - now, LONGEST_LEASE)
            if left > 0:
                self.make(str(entry["name"]), int(entry["size"]), left, now)

    def _end(self, names: list[str]) -> list[Reservation]:
        return [self._by_name.pop(name) for name in names]


def _checked_lease(lease: float) -> float:
    if not 0 < lease <= LONGEST_LEASE:  # false for NaN too
        raise UsageError(f"a lease lasts more than 0 s and at most {LONGEST_LEASE / 86400:g} days")
    return lease
