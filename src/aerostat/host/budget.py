"""How much all guests of a host together may hold.

The operator names a size, or a cgroup whose limit is theirs, or the guests may have the whole
host less a reserve. In the last case the budget is what the guests hold already and what else is
available, less the reserve: memory that the host itself takes leaves the budget at once, and
memory that guests give back stays in it. Pure but for `read_host`, which reads `/proc/meminfo`.
"""

from pathlib import Path
from typing import NamedTuple

from aerostat.errors import UsageError
from aerostat.host.cgroup import CgroupMemory
from aerostat.host.meminfo import MEMINFO, HostMemory, read_meminfo
from aerostat.host.numa import NodeMemory


class HostReading(NamedTuple):
    """The host at one moment. Memory in bytes; None where the host does not tell."""

    budget: int
    """What all guests together may hold."""
    total: int
    available: int
    pressure: float | None = None
    """Share (0 to 1) of the last seconds in which some task waited for memory."""
    swap_out: float | None = None
    """Bytes a second that the host has swapped out in the last seconds."""
    swap_in: float | None = None
    swap_total: int = 0
    swap_free: int = 0
    huge_pages: int = 0
    """Set aside for huge pages: part of what is used, and of no use to anything else."""
    nodes: tuple[NodeMemory, ...] = ()
    cgroup: CgroupMemory | None = None
    """The cgroup that the budget is taken from, if it is taken from one."""


class Budget:
    """The rule for what the guests of a host may hold.

    A fixed `size`; or, less the `reserve`, the limit of the cgroup called `cgroup`, or the host.
    """

    __slots__ = ("cgroup", "reserve", "size")

    def __init__(
        self,
        *,
        size: int | None = None,
        reserve: int = 0,
        cgroup: str | None = None,
    ) -> None:
        if (size is not None and size <= 0) or reserve < 0:
            raise UsageError("a budget is more than nothing, and a reserve not less than nothing")
        if size is not None and (reserve or cgroup):
            raise UsageError("a budget is a fixed size, or what a reserve leaves, not both")
        self.size = size
        self.reserve = reserve
        self.cgroup = cgroup

    def reading(
        self,
        memory: HostMemory,
        held: int,
        group: CgroupMemory | None = None,
    ) -> HostReading:
        """Apply the rule, where all guests together hold `held` bytes, in `group` if in any."""
        if self.size is not None:
            budget = self.size
        else:
            # Guests cannot hold more than there is; a figure taken at another moment might say so.
            within = min(held + memory.available, memory.total)
            if group is not None and group.limit is not None:
                within = min(within, _within(group, group.limit, held))
            budget = max(within - self.reserve, 0)
        return HostReading(
            budget,
            memory.total,
            memory.available,
            swap_total=memory.swap_total,
            swap_free=memory.swap_free,
            huge_pages=memory.huge_pages,
            cgroup=group,
        )

    def ceiling(self, memory: HostMemory, group: CgroupMemory | None = None) -> int:
        """Return the most that the guests' group should ever hold, the guests' VMMs included."""
        if self.size is not None:
            return self.size
        limit = memory.total if group is None or group.limit is None else group.limit
        return max(min(limit, memory.total) - self.reserve, 0)


def _within(group: CgroupMemory, limit: int, held: int) -> int:
    """Return what the guests in a group may hold: its limit less what else it has to hold."""
    others = max(group.held - held, 0)
    return max(limit - others, 0)


def read_host(budget: Budget, held: int, path: Path = MEMINFO) -> HostReading:
    """Read the host now, and apply the rule. Raises `MissingError`."""
    return budget.reading(read_meminfo(path), held)
