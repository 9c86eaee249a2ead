"""What is exported of each guest: its sizes, its accounts, and what it says of itself. Pure."""

from collections.abc import Callable

from aerostat.daemon.snapshot import GuestRow
from aerostat.metrics.families import Family, Value


def _figure(name: str) -> Callable[[GuestRow], Value]:
    """Return what a guest says of itself under this name."""
    return lambda guest: guest.statistics.get(name)


def _balloon(size: Callable[[GuestRow], int | None]) -> Callable[[GuestRow], Value]:
    """Return what the balloon holds where the guest has `size` left."""

    def held(guest: GuestRow) -> Value:
        left = size(guest)
        if guest.max_size is None or left is None:
            return None
        return max(0, guest.max_size - left)

    return held


GUEST: tuple[Family[GuestRow], ...] = (
    Family(
        "guest_up",
        "Whether the newest attempt to read the guest succeeded.",
        lambda guest: guest.error is None and guest.max_size is not None,
    ),
    Family(
        "guest_read_failures",
        "Attempts to read the guest that failed.",
        lambda guest: guest.failures,
        kind="counter",
    ),
    Family(
        "guest_managed",
        "Whether the guest may be managed.",
        lambda guest: guest.managed,
    ),
    Family(
        "guest_on_hold",
        "Whether an operator has said that the guest is to be left as it is.",
        lambda guest: guest.held_by_operator,
    ),
    Family(
        "guest_max_size_bytes",
        "The guest's memory with an empty balloon.",
        lambda guest: guest.max_size,
    ),
    Family(
        "guest_size_bytes",
        "The memory that the guest may use: its maximum less its balloon.",
        lambda guest: guest.guest_size,
    ),
    Family(
        "guest_target_size_bytes",
        "The size that the guest was asked for last.",
        lambda guest: guest.target_size,
    ),
    Family(
        "balloon_bytes",
        "What the guest's balloon holds.",
        _balloon(lambda guest: guest.guest_size),
    ),
    Family(
        "balloon_target_bytes",
        "What the guest's balloon is to hold.",
        _balloon(lambda guest: guest.target_size),
    ),
    Family(
        "guest_held_bytes",
        "What the guest occupies on the host.",
        lambda guest: guest.held,
    ),
    Family(
        "guest_guarantee_bytes",
        "The size below which the guest is never taken.",
        lambda guest: guest.guarantee,
    ),
    Family(
        "guest_ceiling_bytes",
        "The size above which the guest is never given.",
        lambda guest: guest.ceiling,
    ),
    Family(
        "guest_entitlement_bytes",
        "The guest's share of the budget when all want more.",
        lambda guest: guest.entitlement,
    ),
    Family(
        "guest_demand_bytes",
        "What the guest is believed to use.",
        lambda guest: guest.demand,
    ),
    Family(
        "guest_reserve_bytes",
        "What the guest should keep spare, from how its demand grows.",
        lambda guest: guest.reserve,
    ),
    Family(
        "guest_pressure_ratio",
        "How much the guest suffers for want of memory, 0 to 1.",
        lambda guest: guest.pressure,
    ),
    Family(
        "guest_stats_age_seconds",
        "How old the guest's figures are.",
        lambda guest: guest.sample_age,
    ),
    Family(
        "guest_total_memory_bytes",
        "Memory that the guest's kernel knows of, as it says.",
        _figure("total_memory"),
    ),
    Family(
        "guest_free_memory_bytes",
        "Memory that the guest uses for nothing at all, as it says.",
        _figure("free_memory"),
    ),
    Family(
        "guest_available_memory_bytes",
        "Memory that the guest could give without swapping, as it says.",
        _figure("available_memory"),
    ),
    Family(
        "guest_disk_caches_bytes",
        "The guest's page cache, as it says.",
        _figure("disk_caches"),
    ),
    Family(
        "guest_swap_in_bytes",
        "Memory that the guest read back from its swap.",
        _figure("swap_in"),
        kind="counter",
    ),
    Family(
        "guest_swap_out_bytes",
        "Memory that the guest wrote to its swap.",
        _figure("swap_out"),
        kind="counter",
    ),
    Family(
        "guest_major_faults",
        "Page faults in the guest that had to wait for a disk.",
        _figure("major_faults"),
        kind="counter",
    ),
    Family(
        "guest_minor_faults",
        "Page faults in the guest; Linux counts all of them here.",
        _figure("minor_faults"),
        kind="counter",
    ),
    Family(
        "guest_hugetlb_allocations",
        "Huge pages that the guest allocated.",
        _figure("hugetlb_allocations"),
        kind="counter",
    ),
    Family(
        "guest_hugetlb_failures",
        "Huge pages that the guest could not allocate.",
        _figure("hugetlb_failures"),
        kind="counter",
    ),
    Family(
        "guest_oom_kills",
        "Processes that the guest's kernel killed for want of memory.",
        _figure("oom_kills"),
        kind="counter",
    ),
    Family(
        "guest_alloc_stalls",
        "Allocations in the guest that had to wait for memory to be reclaimed.",
        _figure("alloc_stalls"),
        kind="counter",
    ),
    Family(
        "guest_async_scan_bytes",
        "Memory that the guest's kswapd looked at, to reclaim it.",
        _figure("async_scans"),
        kind="counter",
    ),
    Family(
        "guest_direct_scan_bytes",
        "Memory that the guest's tasks looked at, to reclaim it themselves.",
        _figure("direct_scans"),
        kind="counter",
    ),
    Family(
        "guest_async_reclaim_bytes",
        "Memory that the guest's kswapd reclaimed.",
        _figure("async_reclaims"),
        kind="counter",
    ),
    Family(
        "guest_direct_reclaim_bytes",
        "Memory that the guest's tasks reclaimed themselves.",
        _figure("direct_reclaims"),
        kind="counter",
    ),
)
