"""The kernel of a process guest: the model of a guest, made real on real pages.

How much memory is free, held, cached or in the balloon is the model's business (`aerostat.model`),
and which pages that are, and what is in them, this room's: it writes what the model takes, looks
at what programs look at, and counts what is not as it was written. Memory that is freed stays with
the host until the balloon takes it or it is reported. A page that is swapped out is forgotten,
and written again when it comes back.

Implements `interface.Kernel`. Touches the guest's memory through `pages`.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.model.columns import Column
from aerostat.model.state import State
from aerostat.model.statistics import statistics
from aerostat.model.step import deflate, inflate, step
from aerostat.process_guest.interface import RESERVED_SIZE
from aerostat.process_guest.pages import Owner, Pages, Pfns
from aerostat.process_guest.programs import Programs
from aerostat.units import MIB

# Free memory is reported in blocks of this size (pageblock_order on x86-64), ...
_BLOCK = 2 * MIB
#: ... if it has stayed free for so long, in seconds, as in Linux's mm/page_reporting.c.
REPORT_EVERY = 2.0


class Kernel:
    """A guest's kernel over `pages`, of which the first ones are its own.

    `swap_size` is in bytes. `tags` are the statistics that its balloon driver knows. With
    `deflate_on_oom` the balloon gives memory back before anything is killed: `wants_relief` is how
    many pages it should be asked for. `still` says that nothing moved in the last interval.
    """

    def __init__(
        self,
        pages: Pages,
        *,
        swap_size: int = 0,
        deflate_on_oom: bool = True,
        tags: Sequence[Tag] = tuple(Tag),
    ) -> None:
        self.programs = Programs()
        self.state = State.boot(
            len(pages) * PAGE_SIZE, swap_size=swap_size, deflate_on_oom=deflate_on_oom
        )
        self.wants_relief = 0
        self.still = False
        self._pages = pages
        self._tags = tuple(tags)
        self._looked_at = 0
        self._seen_free: set[int] = set()
        lowest = np.arange(_count(self.state.reserved + self.state.kernel))
        pages.hand(lowest, Owner.KERNEL)
        pages.write(lowest[RESERVED_SIZE // PAGE_SIZE :])  # the others are the link's

    # What passes by itself

    def pass_time(self, dt: float) -> None:
        """Let programs work for `dt` seconds, and do what a kernel does about it."""
        state, demand = self.state, self.programs.demand(dt)
        free = float(state.free[0])
        outcome = step(state, demand, dt)
        moved = outcome.swapped_in + outcome.refaulted + outcome.short + demand.read
        self.still = float(state.free[0]) == free and not moved[0]
        self._settle()
        self.wants_relief = _count(outcome.short) if state.deflate_on_oom[0] else 0
        stalled = float(outcome.stalled[0])
        if outcome.killed[0]:
            self.programs.kill()
            return
        worked = 1.0 - stalled / dt
        checked = min(int(demand.touched[0] * worked), int(state.anonymous[0]))
        self.programs.advance(
            dt,
            stalled=stalled,
            grown=int(outcome.grown[0]),
            read=int(demand.read[0] * worked),
            checked=checked,
            damaged=self._look(checked // PAGE_SIZE),
        )

    def _settle(self) -> None:
        """Have as many pages in each place as the model says, as far as there are free ones."""
        lacking = {}
        for owner, amount in (
            (Owner.PROGRAMS, self.state.anonymous),
            (Owner.FILES, self.state.disk_caches),
        ):
            lacking[owner] = _count(amount) - self._pages.count(owner)
            self._pages.free_some(owner, -lacking[owner])
        # What is short is taken from what was hinted, which may be used at any time (5.5.6.5.1).
        wanted = sum(max(count, 0) for count in lacking.values())
        self._pages.free_some(Owner.HINTED, wanted - self._pages.count(Owner.FREE))
        for owner, count in lacking.items():
            self._pages.write(self._pages.take(owner, count))

    def _look(self, count: int) -> int:
        """Look at the next `count` pages of programs; return how many are damaged."""
        pfns = self._pages.of(Owner.PROGRAMS)
        if not len(pfns):
            return 0
        next_ones = np.arange(self._looked_at, self._looked_at + count) % len(pfns)
        self._looked_at += count
        return self._pages.damaged(pfns[next_ones])

    # What programs and those who watch them ask for

    def damaged(self) -> int:
        """Look at all that is in use; return how many pages are not as they were written."""
        kernel = self._pages.of(Owner.KERNEL)[RESERVED_SIZE // PAGE_SIZE :]
        used = (kernel, self._pages.of(Owner.PROGRAMS), self._pages.of(Owner.FILES))
        return sum(map(self._pages.damaged, used))

    @property
    def held(self) -> int:
        """What programs hold, in memory and swap; bytes."""
        return int(self.state.anonymous[0] + self.state.swapped[0])

    def counters(self) -> dict[str, dict[str, int]]:
        """Return what /proc/vmstat and /proc/meminfo would say, in bytes where it is memory."""
        state = self.state
        events = {
            "oom_kill": state.oom_kills,
            "pgmajfault": state.major_faults,
            "pgfault": state.minor_faults,
            "pswpin": state.swap_in / PAGE_SIZE,
            "pswpout": state.swap_out / PAGE_SIZE,
            "allocstall_normal": state.alloc_stalls,
            "pgscan_kswapd": state.async_scans / PAGE_SIZE,
            "pgscan_direct": state.direct_scans / PAGE_SIZE,
            "pgsteal_kswapd": state.async_reclaims / PAGE_SIZE,
            "pgsteal_direct": state.direct_reclaims / PAGE_SIZE,
        }
        memory = {
            "MemTotal": state.total_memory,
            "MemFree": state.free,
            "MemAvailable": state.available_memory,
            "Cached": state.disk_caches,
            "AnonPages": state.anonymous,
            "SwapTotal": state.swap_size,
            "SwapFree": state.swap_size - state.swapped,
        }
        return {
            kind: {name: int(column[0]) for name, column in columns.items()}
            for kind, columns in (("vmstat", events), ("meminfo", memory))
        }

    # What the balloon's driver asks for

    def statistics(self) -> Mapping[int, int]:
        """Return the statistics that the driver knows of, by tag."""
        row = statistics(self.state)[0]
        return {int(tag): int(row[tag]) for tag in self._tags}

    def take_pages(self, count: int) -> Sequence[int]:
        """Take at most `count` pages away from the guest."""
        wanted = np.array([float(count * PAGE_SIZE)])
        got = inflate(self.state, wanted)
        self._settle()
        taken: list[int] = self._pages.take(Owner.BALLOON, _count(got)).tolist()
        # Of the free pages, some may just be being reported.
        deflate(self.state, got - len(taken) * PAGE_SIZE)
        return taken

    def give_back(self, pfns: Sequence[int]) -> None:
        """Take pages back from the balloon."""
        self._pages.hand(pfns, Owner.FREE)
        deflate(self.state, np.array([float(len(pfns) * PAGE_SIZE)]))

    # Free page reporting (virtio 1.2, 5.5.6.7)

    def report(self, room: int, poison: int | None = None) -> list[tuple[int, int]]:
        """Return at most `room` free ranges (address, length) that the device should hear of.

        They are not used until `reported`. To be asked every `REPORT_EVERY` seconds: ranges have
        to have been free since the last time. They are filled with `poison`, if there is one.
        """
        free = set(self._pages.free_blocks(_BLOCK).tolist())
        chosen = sorted(free & self._seen_free)[:room]
        self._seen_free = free
        for first in chosen:
            self._pages.hand(_block(first), Owner.REPORTING)
            if poison is not None:
                self._pages.fill(_block(first), poison)
        return [(first * PAGE_SIZE, _BLOCK) for first in chosen]

    def reported(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Use ranges again that the device has seen."""
        for address, _ in ranges:
            pfns = _block(address // PAGE_SIZE)
            self._pages.hand(pfns, Owner.FREE)
            self._pages.know_free(pfns)

    # Free page hinting (virtio 1.2, 5.5.6.5)

    def hint(self, room: int) -> list[tuple[int, int]]:
        """Return at most `room` free ranges (address, length) that were not hinted yet.

        They are kept until `hints_done`, unless programs need them before; what is in them then
        is anything, and is written over.
        """
        chosen = self._pages.free_blocks(_BLOCK, known=True)[:room].tolist()
        for first in chosen:
            self._pages.hand(_block(first), Owner.HINTED)
        return [(first * PAGE_SIZE, _BLOCK) for first in chosen]

    def hints_done(self) -> None:
        """Use all that was hinted again."""
        self._pages.free_some(Owner.HINTED, self._pages.count(Owner.HINTED))


def _block(first: int) -> Pfns:
    return np.arange(first, first + _BLOCK // PAGE_SIZE)


def _count(amount: Column) -> int:
    """Return how many pages a column of one guest is."""
    return int(amount[0]) // PAGE_SIZE
