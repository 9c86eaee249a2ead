"""How much all guests of a host together may hold.

Either the operator names a size, or the guests may have the whole host less a reserve. In the
second case the budget is what the guests hold already and what else is available, less the
reserve: memory that the host itself takes leaves the budget at once, and memory that guests give
back stays in it. Pure but for `read_host`, which reads `/proc/meminfo`.
"""

from pathlib import Path
from typing import NamedTuple

from aerostat.errors import UsageError
from aerostat.host.meminfo import MEMINFO, HostMemory, read_meminfo


class HostReading(NamedTuple):
    """The host at one moment, in bytes."""

    budget: int
    """What all guests together may hold."""
    total: int
    available: int


class Budget:
    """The rule for what the guests of a host may hold: a fixed size, or all but a reserve."""

    __slots__ = ("reserve", "size")

    def __init__(self, *, size: int | None = None, reserve: int = 0) -> None:
        if (size is not None and size <= 0) or reserve < 0:
            raise UsageError("a budget is more than nothing, and a reserve not less than nothing")
        if size is not None and reserve:
            raise UsageError("a budget has a fixed size or keeps a reserve, not both")
        self.size = size
        self.reserve = reserve

    def reading(self, memory: HostMemory, held: int) -> HostReading:
        """Apply the rule, where all guests together hold `held` bytes."""
        if self.size is not None:
            budget = self.size
        else:
            # Guests cannot hold more than there is; a figure taken at another moment might say so.
            within = min(held + memory.available, memory.total)
            budget = max(within - self.reserve, 0)
        return HostReading(budget, memory.total, memory.available)


def read_host(budget: Budget, held: int, path: Path = MEMINFO) -> HostReading:
    """Read the host now, and apply the rule. Raises `MissingError`."""
    return budget.reading(read_meminfo(path), held)
