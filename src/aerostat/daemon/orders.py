"""What operators have ordered: sizes by hand, guests to hold, releases, room to keep. Pure.

An order outlives the manager that was given it (see `savefile`). Sizes are bytes, times monotonic
seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aerostat.daemon.names import clean_text
from aerostat.daemon.reservations import Reservations
from aerostat.errors import UsageError

# Orders are given by hand, and kept for guests that are gone too; bounds the state file.
_MOST = 10_000
# A guest that is given memory takes it within this time, or does not want it.
_RELEASE_LASTS = 60.0


class Release(NamedTuple):
    """Memory that is being given back to a guest: up to `size`, until `until` at the latest."""

    size: int
    until: float


@dataclass(slots=True)
class Orders:
    """All orders that hold. Guests are named by their keys."""

    pins: dict[str, int] = field(default_factory=dict)
    """The size that a guest is to have."""
    holds: dict[str, str] = field(default_factory=dict)
    """Guests that are not to be moved at all, and why."""
    releases: dict[str, Release] = field(default_factory=dict)
    reservations: Reservations = field(default_factory=Reservations)

    def pin(self, key: str, size: int) -> None:
        """Have a guest keep `size` bytes. Raises `UsageError` where there are too many orders."""
        _check_room(self.pins, key)
        self.releases.pop(key, None)
        self.pins[key] = size

    def hold(self, key: str, note: str) -> None:
        """Have a guest left as it is. Raises `UsageError` where there are too many orders."""
        _check_room(self.holds, key)
        self.releases.pop(key, None)
        self.holds[key] = clean_text(note) if note else ""

    def release(self, key: str, size: int, now: float) -> None:
        """Have a guest given memory back, up to `size` bytes; the manager decides again then."""
        self.releases[key] = Release(size, now + _RELEASE_LASTS)

    def sizes(self) -> dict[str, int]:
        """Return the size that each guest is to have by order."""
        return {key: release.size for key, release in self.releases.items()} | self.pins

    def follow(self, sizes: Mapping[str, int], now: float) -> None:
        """End releases that are over: done, too old, or of a guest that is gone."""
        for key, release in list(self.releases.items()):
            size = sizes.get(key)
            if size is None or size >= release.size or release.until <= now:
                del self.releases[key]

    def to_dict(self) -> dict[str, Any]:
        """Return what is saved; a release is not, as a killed manager gives nothing back."""
        reservations = self.reservations.to_list()
        return {"pins": dict(self.pins), "holds": dict(self.holds), "reservations": reservations}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any], now: float | None) -> "Orders":
        """Return what `to_dict` gave; raises on anything else.

        `now` is None where the host was restarted since: leases were promises about its memory,
        and are over.
        """
        pins, holds = saved["pins"], saved.get("holds", {})
        if not all(type(size) is int and 0 < size < 1 << 53 for size in pins.values()):
            raise UsageError("its pinned sizes are none")
        if not all(isinstance(note, str) and note.isprintable() for note in holds.values()):
            raise UsageError("its held guests are none")
        # Ours always are (see `names`), and others could not be saved again.
        if not all(key.isprintable() for key in (*pins, *holds)):
            raise UsageError("its guests' keys are none")
        orders = cls(pins=dict(pins), holds=dict(holds))
        if now is not None:
            orders.reservations.restore(saved.get("reservations", []), now)
        return orders


def _check_room(orders: Mapping[str, object], key: str) -> None:
    if key not in orders and len(orders) >= _MOST:
        raise UsageError(f"there are {_MOST} such orders already; take some back")
