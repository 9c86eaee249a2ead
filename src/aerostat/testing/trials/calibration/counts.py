"""What is counted of an exercise, under one name for real guests and modelled ones. Pure.

Names are the statistics'. Amounts are bytes; faults, stalls and kills are events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

EVENTS = ("minor_faults", "major_faults", "alloc_stalls", "oom_kills")

#: What is compared, and which differences mean nothing: both are below it, bytes or events.
FLOORS: Mapping[str, float] = {
    "read": 4 << 20,
    "held": 8 << 20,
    "looked_at": 16 << 20,
    "minor_faults": 1024,
    "major_faults": 64,
    "async_scans": 4 << 20,
    "async_reclaims": 4 << 20,
    "direct_scans": 4 << 20,
    "direct_reclaims": 4 << 20,
    "scans": 4 << 20,
    "reclaims": 4 << 20,
    "alloc_stalls": 32,
    "swap_out": 4 << 20,
    "swap_in": 4 << 20,
    "refaults": 4 << 20,
    "disk_reads": 4 << 20,
    "oom_kills": 0.1,
    "free_at_start": 8 << 20,
    "available_at_start": 8 << 20,
    "free_at_end": 8 << 20,
    "available_at_end": 8 << 20,
    "caches_at_end": 8 << 20,
    "balloon_at_half": 4 << 20,
    "balloon_at_most": 4 << 20,
    "balloon_at_end": 4 << 20,
}


@dataclass(slots=True)
class Counts:
    """What came of one run of an exercise."""

    values: dict[str, float]
    """By the names of `FLOORS`."""
    balloon: list[tuple[float, float]] = field(default_factory=list)
    """The balloon's size over time, seconds and bytes."""

    def reckon(self, seconds: float) -> None:
        """Put what follows from the others among the values; `seconds` is the whole exercise."""
        values, sizes = self.values, [size for _, size in self.balloon]
        values["scans"] = values["async_scans"] + values["direct_scans"]
        values["reclaims"] = values["async_reclaims"] + values["direct_reclaims"]
        half = [size for at, size in self.balloon if at <= seconds / 2]
        values["balloon_at_half"] = half[-1] if half else 0.0
        values["balloon_at_most"] = max(sizes, default=0.0)
        values["balloon_at_end"] = sizes[-1] if sizes else 0.0
