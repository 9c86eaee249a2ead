"""One guest's balloon from its front-end's first message to its last, and over several of them.

Where the two sides of a device process meet: a front-end (`aerostat.device.link`) brings memory
and rings, control clients (`aerostat.device.commands`) ask for sizes and statistics. Touches
neither's sockets. Implements the amounts of virtio 1.2, 5.5: everything here is in bytes.
Standard library only.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aerostat.balloon.abi import PAGE_SIZE, QueueRule
from aerostat.balloon.device import (
    DEFAULT_FEATURES,
    MAX_PAGES,
    ActualChanged,
    BalloonDevice,
    ConfigChanged,
)
from aerostat.balloon.events import Hint
from aerostat.device import reclaim
from aerostat.device.block_reads import BlockReads, Counter
from aerostat.device.hinter import Hinter
from aerostat.device.log import Log
from aerostat.device.loop import Loop
from aerostat.device.memory import MappedMemory
from aerostat.device.sampler import Sample, Sampler
from aerostat.units import MIB

_COUNTERS = (
    "front_ends",  # connections served
    "broken_conversations",  # front-ends that were cut off for what they sent
    "refused_requests",  # vhost-user requests answered with a failure, or passed over
    "lost_calls",  # notifications that could not be delivered
    *reclaim.COUNTERS,
)


class Guest:
    """The guest behind one device.

    `size` is its RAM in bytes; None: as much as it shares. `queues` is the rule by which its
    driver numbers them; None: found out by what is set up. With `discards_hints`, hinted memory is
    given back, which only a guest may have that uses none of it before its round is over. With
    `block_reads`, what it reads from its disks is counted by that counter of its front-end's.
    """

    def __init__(
        self,
        loop: Loop,
        log: Log,
        *,
        size: int | None = None,
        features: int = DEFAULT_FEATURES,
        queues: QueueRule | None = None,
        discards_hints: bool = False,
        block_reads: Counter | None = None,
    ) -> None:
        self.device = BalloonDevice(features=features)
        self.queue_rule = queues
        self.sampler = Sampler(loop, self._ask)
        self.hinter = Hinter(loop, lambda: self.device.hinting, self._announce)
        self.memory: MappedMemory | None = None
        self.log = log
        self.counters = dict.fromkeys(_COUNTERS, 0)
        self.reclaim = reclaim.Reclaim(self.counters, log)
        # Who is told: the link (to announce a configuration, to notify a driver), the control.
        self.on_config_changed: Callable[[], None] | None = None
        self.on_notifications: Callable[[], None] | None = None
        self.on_balloon_changed: Callable[[], None] | None = None
        self._discards_hints = discards_hints
        self._reads_counter = block_reads
        self._block_reads: BlockReads | None = None
        self._size = size
        self._wanted_size: int | None = None
        if size is not None:
            self.device.max_pages = _pages(size)

    # ---- going on in another process

    def state(self) -> dict[str, Any]:
        """Return what is not the device's, as values that JSON has."""
        latest = self.sampler.latest
        sample = latest and (list(latest.statistics.items()), latest.monotonic, latest.wall_clock)
        return {
            "wanted_size": self._wanted_size,
            "interval": self.sampler.interval,
            "sample": sample,
            "hint_left": self.hinter.left,
            "counters": dict(self.counters),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where another was, by its `state`, before there is memory."""
        self._wanted_size = state["wanted_size"]
        sample = state["sample"] and Sample(dict(state["sample"][0]), *state["sample"][1:])
        self.sampler.restore(state["interval"], sample)
        self.hinter.restore(state["hint_left"])
        for name in self.counters:
            self.counters[name] = state["counters"].get(name, 0)

    # ---- sizes

    @property
    def max_size(self) -> int:
        """The guest's RAM with an empty balloon; 0 while neither option nor front-end has said."""
        if self._size is not None:
            return self._size
        if self.memory is None:
            return 0
        # A front-end may keep its kernel's image out of what it shares, so this is a little low.
        return -(-self.memory.size // MIB) * MIB

    @property
    def guest_size(self) -> int:
        """The RAM left to the guest, by its driver's own word."""
        return max(0, self.max_size - self.device.balloon_size)

    @property
    def target_size(self) -> int:
        """The RAM that the guest has been asked to make do with."""
        return max(0, self.max_size - self.device.config.num_pages * PAGE_SIZE)

    def set_target(self, size: int) -> None:
        """Ask the guest to make do with `size`; remembered while there is no guest."""
        self._wanted_size = size
        self._apply_target()

    def held(self) -> int:
        """Return what the guest's memory takes on this host, everything in its files counted."""
        return 0 if self.memory is None else self.memory.held()

    def block_reads(self) -> int | None:
        """Return the bytes that it has read from its disks in all; None where nobody knows."""
        return None if self._block_reads is None else self._block_reads.total()

    def all_counters(self) -> dict[str, int]:
        """Return the counters of the device and of what surrounds it."""
        return {**self.device.counters, **self.counters}

    # ---- what the front-end does

    def come(self, pid: int) -> None:
        """Have a front-end, the process `pid`; 0 for one that is not to be seen from here."""
        if self._reads_counter is not None:
            self._block_reads = BlockReads(pid, self._reads_counter, self.log)

    def leave(self) -> None:
        """Have no front-end."""
        if self._block_reads is not None:
            self._block_reads.close()
            self._block_reads = None

    def use_memory(self, memory: MappedMemory | None) -> None:
        """Have `memory` for the guest's from now on; rings must no longer be in the old one."""
        old, self.memory = self.memory, memory
        self.reclaim.use_memory(memory)
        if old is not None:
            old.close(keep=() if memory is None else memory.regions)
        if memory is not None:
            self.device.max_pages = _pages(self.max_size)
            self._apply_target()

    def reset(self) -> None:
        """Forget what an earlier driver said, as a new one begins. The target stays."""
        self.sampler.forget()
        self.reclaim.forget()
        self._tell(self.device.reset())
        self.hinter.forget()

    def restart(self) -> None:
        """Forget an earlier driver, as `reset`, but not what the new one has said already."""
        self.sampler.forget()
        self.reclaim.forget()
        self._tell(self.device.restart())
        self.hinter.forget()

    def write_config(self, offset: int, data: bytes) -> None:
        """Take a driver's write to the configuration space."""
        self._tell(self.device.write_config(offset, data))

    def hinted(self, event: Hint) -> None:
        """See to what a driver has hinted, or to a command id of its."""
        if self._discards_hints:
            self.reclaim.discard(event)
        self.hinter.heard()

    def _apply_target(self) -> None:
        if self._wanted_size is None or not self.max_size:
            return
        pages = (self.max_size - self._wanted_size) // PAGE_SIZE
        changed: ConfigChanged | None = self.device.set_target(pages)
        if changed is not None:
            self._announce()

    def _announce(self) -> None:
        if self.on_config_changed is not None:
            self.on_config_changed()

    def _tell(self, changed: ActualChanged | None) -> None:
        if changed is not None and self.on_balloon_changed is not None:
            self.on_balloon_changed()

    def _ask(self) -> bool:
        asked = self.device.request_statistics()
        if asked and self.on_notifications is not None:
            self.on_notifications()
        return asked


def _pages(size: int) -> int:
    return min(max(size // PAGE_SIZE, 1), MAX_PAGES)
