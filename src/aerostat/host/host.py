"""The host as the manager sees it: one object that is read every tick (touches `/proc`, `/sys`).

What is not there is told as None, for ever or for once; only the memory itself must be there.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from aerostat.errors import MissingError
from aerostat.host.budget import Budget, HostReading
from aerostat.host.cgroup import Cgroup, CgroupMemory
from aerostat.host.meminfo import HostMemory, read_meminfo
from aerostat.host.numa import NODES, NodeMemory, read_nodes
from aerostat.host.pressure import PressureTrigger, open_trigger, read_pressure
from aerostat.host.rates import Rate
from aerostat.host.swap import read_swap_traffic

# Nodes are for the doctor and the views; the kernel takes longer to tell them than all the rest.
_NODES_AGE = 10.0


class Host:
    """One host and the rule for its budget.

    `backstop` is a cgroup in which all guests live; its `memory.high` is set from `set_backstop`
    on, put back by `close`, and never touched otherwise. The budget's cgroup and that one may come
    and go with the guests; raises `MissingError` where the host can have no such group. `proc` and
    `nodes` are where the files are.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        backstop: Cgroup | None = None,
        clock: Callable[[], float] = time.monotonic,
        proc: Path = Path("/proc"),
        nodes: Path = NODES,
    ) -> None:
        self.budget = budget
        self.backstop = backstop
        self.cgroup: Cgroup | None = None
        if budget.cgroup is not None:
            self.cgroup = Cgroup.find(budget.cgroup, proc / "self/mountinfo", now=False)
        self._clock = clock
        self._proc = proc
        self._nodes_path = nodes
        self._nodes: tuple[NodeMemory, ...] = ()
        self._nodes_at = float("-inf")
        self._stalled = Rate()
        self._group_stalled = Rate()
        self._swapped_in = Rate()
        self._swapped_out = Rate()
        self._trigger: PressureTrigger | None = None
        self._holds_back = False

    def read(self, held: int) -> HostReading:
        """Read the host now, where all guests together hold `held` bytes.

        While the budget's cgroup is not there the budget is that of the whole host. Raises
        `MissingError` where the host's memory cannot be read.
        """
        memory = read_meminfo(self._proc / "meminfo")
        group = _read_group(self.cgroup)
        if self._holds_back:
            self._keep_backstop(memory)
        now = self._clock()
        traffic = read_swap_traffic(self._proc / "vmstat")
        swapped_in, swapped_out = traffic or (None, None)
        return self.budget.reading(memory, held, group)._replace(
            pressure=self._read_pressure(now),
            swap_in=self._swapped_in.update(now, swapped_in),
            swap_out=self._swapped_out.update(now, swapped_out),
            nodes=self._read_nodes(now),
        )

    def pressure_trigger(self) -> PressureTrigger | None:
        """Have the kernel watch the pressure of the host, which has that of every group in it.

        Its descriptor is readable after tasks lost a tenth of a second in two for want of memory.
        None where the kernel cannot watch or we may not ask it to; then `read` tells it alone.
        """
        if self._trigger is None:
            self._trigger = open_trigger(self._proc / "pressure/memory")
        return self._trigger

    def set_backstop(self) -> int | None:
        """Set `memory.high` of the backstop to what the budget allows; return it.

        From now on that is done again where the group was made anew. None where there is no
        backstop or no such group yet. Raises `MissingError` where it cannot be set.
        """
        self._holds_back = self.backstop is not None
        if self.backstop is None or not self.backstop.there:
            return None
        return self._set_backstop(self.backstop, read_meminfo(self._proc / "meminfo"))

    def close(self) -> None:
        """Have the kernel watch no longer, and put back what was set."""
        if self._trigger is not None:
            self._trigger.close()
            self._trigger = None
        self._holds_back = False
        if self.backstop is not None:
            self.backstop.restore()

    def _read_nodes(self, now: float) -> tuple[NodeMemory, ...]:
        if now - self._nodes_at >= _NODES_AGE:
            self._nodes = read_nodes(self._nodes_path)
            self._nodes_at = now
        return self._nodes

    def _keep_backstop(self, memory: HostMemory) -> None:
        """Set the backstop of a group that was made anew."""
        group = self.backstop
        if group is not None and group.there and group.backstop is None:
            with contextlib.suppress(MissingError):  # it was said at the start
                self._set_backstop(group, memory)

    def _set_backstop(self, group: Cgroup, memory: HostMemory) -> int:
        size = self.budget.ceiling(memory, group.read())
        group.set_backstop(size)
        return size

    def _read_pressure(self, now: float) -> float | None:
        """Return the share of the last seconds that was lost, in the host or in the guests' group.

        The kernel's own averages are over ten seconds and more: too long ago to act upon.
        """
        shares = []
        readings = [(self._stalled, read_pressure(self._proc / "pressure/memory"))]
        if self.cgroup is not None:
            readings.append((self._group_stalled, self.cgroup.pressure()))
        for rate, pressure in readings:
            lately = rate.update(now, pressure.some_seconds if pressure else None)
            if pressure is not None:
                shares.append(pressure.some_ratio if lately is None else min(lately, 1.0))
        return max(shares, default=None)


def _read_group(group: Cgroup | None) -> CgroupMemory | None:
    """Return what a group holds; None while it is not there."""
    with contextlib.suppress(MissingError):
        return group.read() if group is not None else None
    return None
