"""One domain as the manager knows it: its sizes, its guest's figures, and how old they are.

libvirt dates figures in whole seconds of a clock that may be set. Here they are dated by our own:
by the last moment when they were certainly not there yet. So their age may be taken for more
than it is, and never for less. No I/O but reading ``/proc`` for what QEMU holds.
"""

import asyncio
import time
from typing import NamedTuple

from aerostat.errors import AerostatError, LinkError
from aerostat.host.held import held_by
from aerostat.hypervisors.base import BlockReads, GuestInfo, Reading
from aerostat.hypervisors.libvirt.domain_xml import Setup
from aerostat.hypervisors.libvirt.values import FROM_MONITOR, SHUT_OFF, Figures, Record

# Another call may have hold of a domain for a moment; what lasts longer is a monitor that hangs.
_BUSY_PATIENCE = 2.0
# A guest without a driver is asked ever less often, down to this: asking costs libvirtd four times
# as much as reading, because it writes the domain's state to disk each time.
_LONGEST_WAIT = 300.0
# Asking for what disks have read costs libvirtd more than all the rest of a look: each time for
# guests whose balloon has just moved, when refaults would show, and else now and then.
_MOVED_LATELY = 30.0
_BLOCK_INTERVAL_SQUEEZED = 10.0
_BLOCK_INTERVAL = 30.0
# Clocks that keep pace drift by less than this between two looks; more, and one has been set.
_CLOCK_STEP = 0.2


class Moment(NamedTuple):
    """The same moment on both clocks, seconds."""

    monotonic: float
    wall: float

    @classmethod
    def now(cls) -> "Moment":
        """Read both clocks."""
        return cls(time.monotonic(), time.time())

    @property
    def offset(self) -> float:
        """How far the wall clock is ahead."""
        return self.wall - self.monotonic


class Domain:
    """One running domain. `number` is libvirt's, new each time that the domain is started."""

    def __init__(self, uuid: str, name: str, number: int, source: str) -> None:
        self.uuid = uuid
        self.key = f"libvirt:{uuid}"
        self.name = name
        self.number = number
        self.source = source
        self.setup: Setup | None = None
        """None until its description has been read, and when that has to be done again."""
        self.pid: int | None = None
        """QEMU's process, where it can be told."""
        self.period_found: int | None = None
        """The period of its statistics before we changed it; None if we have not."""
        self.sampled_at: float | None = None
        self.lock = asyncio.Lock()
        """Held by who makes a call that the domain's monitor can hold up."""
        self._settings: dict[str, str] = {}
        self._max_size = 0
        self._guest_size = 0
        self._resident: int | None = None  # as libvirt says
        self._held: int | None = None
        self._figures: Figures | None = None
        self._from_monitor: Figures | None = None
        self._looked = Moment(0.0, 0.0)
        self._read_at = 0.0
        self._state: int | None = None
        self._busy_since: float | None = None
        self._reads: BlockReads | None = None
        self._reads_asked_at = float("-inf")
        self._resized_at = float("-inf")
        self._next_request = float("-inf")
        self._wait = 0.0
        self._monitor_tells_more = True

    @property
    def info(self) -> GuestInfo:
        """How the domain is shown."""
        return GuestInfo(self.key, self.name, self.source, self.uuid, self._settings)

    @property
    def busy(self) -> bool:
        """Whether another call had hold of it at the last look."""
        return self._busy_since is not None

    @property
    def answered(self) -> bool:
        """Whether a balloon driver in the guest has ever sent figures, since the guest started."""
        return self._figures is not None and self._figures.last_update > 0

    @property
    def statistics(self) -> dict[int, int]:
        """The newest figures of the guest, however old."""
        return {} if self._figures is None else self._figures.statistics

    @property
    def running(self) -> bool:
        """Whether it is active, if only paused."""
        return self._state != SHUT_OFF

    def learn(self, setup: Setup, pid: int | None) -> None:
        """Take over what the domain's description says."""
        self.setup = setup
        self.pid = pid
        self._settings = dict(setup.settings)

    def restarted(self) -> None:
        """Take note that the guest began anew: its figures are of a former life."""
        self.sampled_at = None
        self._from_monitor = None
        self._wait = 0.0
        self._monitor_tells_more = True

    def resized(self, size: int) -> None:
        """Follow the size that an event tells of."""
        self._guest_size = min(size, self._max_size)
        self._resized_at = time.monotonic()

    def take(self, record: Record, asked: Moment, now: Moment, *, blocks: bool) -> None:
        """Take in what libvirt says; it was asked at `asked`, for `blocks` too or not."""
        if record.guest_size != self._guest_size and self._max_size:
            self._resized_at = now.monotonic
        self._state = record.state
        self._max_size = record.max_size
        self._guest_size = record.guest_size
        self._read_at = now.monotonic
        if blocks:
            self._reads = record.block_reads
            self._reads_asked_at = asked.monotonic
        if not record.asked:
            self._busy_since = self._busy_since or now.monotonic
            return
        self._busy_since = None
        self._measure(record.held)
        if record.figures is not None:
            self._note(record.figures, asked, now)

    def _measure(self, resident: int | None) -> None:
        """Find out what QEMU holds; what is resident comes with the sizes at no cost.

        The rest takes more time than all else that is done here, and is done when that has
        changed. It does not show huge pages.
        """
        on_huge_pages = self.setup is not None and self.setup.huge_pages
        if self._held is None or resident != self._resident or on_huge_pages:
            held = None if self.pid is None else held_by(self.pid)
            self._held = resident if held is None else held
        self._resident = resident

    def take_from_monitor(self, figures: Figures) -> None:
        """Take in figures that QEMU's own monitor gives and libvirt does not show."""
        self._monitor_tells_more = not FROM_MONITOR.isdisjoint(figures.statistics)
        self._from_monitor = figures

    def _note(self, figures: Figures, asked: Moment, now: Moment) -> None:
        """Take note of the figures, and date them if they are new."""
        if figures != self._figures:
            # How old the first ones are is not known: they only serve to recognise newer ones.
            known = self._figures is not None and figures.last_update != 0
            self.sampled_at = self._date(figures, now) if known else None
            self._figures = figures
            if known:
                self._wait = 0.0
        self._looked = asked

    def _date(self, figures: Figures, now: Moment) -> float:
        """Return a moment when these were certainly not there yet.

        At the last look they were not. Nor before the second that libvirt tells, if its clock
        has not been set since that look.
        """
        not_yet = self._looked.monotonic
        if abs(now.offset - self._looked.offset) > _CLOCK_STEP:
            return not_yet
        return max(not_yet, min(figures.last_update - now.offset, now.monotonic))

    def wants_blocks(self, now: float) -> bool:
        """Tell whether what its disks have read should be asked for."""
        if now - self._resized_at < _MOVED_LATELY:
            return True
        squeezed = self._guest_size < self._max_size
        interval = _BLOCK_INTERVAL_SQUEEZED if squeezed else _BLOCK_INTERVAL
        return now - self._reads_asked_at >= interval

    def wants_request(self, now: float, wanted_age: float) -> bool:
        """Tell whether the guest should be asked for figures out of turn.

        So that what another sets, a reset, a migration or a snapshot does to the period is
        mended, however it came about: figures that are not renewed are asked for.
        """
        if self.setup is None or not self.setup.balloon or self.busy or now < self._next_request:
            return False
        return self.sampled_at is None or now - self.sampled_at > wanted_age

    def periods(self, own: int) -> list[int]:
        """Return what to set the period to, one after the other, to have the guest asked at once.

        QEMU asks when the period goes from 0 to something. One that is shorter than our `own`
        is left as it is; one that is longer would have to be set aside for every sample.
        """
        found = 0 if self.setup is None else self.setup.period
        if self.period_found is None and (found == 0 or found > own):
            self.period_found = found
        period = found if self.period_found is None else own
        return [period] if found == 0 else [0, period]

    def requested(self, now: float, wanted_age: float) -> None:
        """Take note that the guest is asked; it is asked again ever later, until it answers."""
        self._wait = min(max(2 * self._wait, wanted_age), _LONGEST_WAIT)
        self._next_request = now + self._wait

    @property
    def responsive(self) -> bool:
        """Whether it makes sense to wait for the guest: it has not let down a request yet."""
        return self._wait == 0.0

    def wants_monitor(self) -> bool:
        """Tell whether QEMU's own monitor has newer figures than were had from it."""
        if not self._monitor_tells_more or self.busy or self.sampled_at is None:
            return False
        seen = self._from_monitor
        return seen is None or seen.last_update != self._figures_date()

    def _figures_date(self) -> int:
        return 0 if self._figures is None else self._figures.last_update

    def reading(self) -> Reading | AerostatError:
        """Return what is known of the guest, or what is wrong with it.

        What its disks have read is in it once, whenever it was asked for: a counter that is told
        again unchanged would say that nothing was read.
        """
        if not self.running:
            return LinkError(f"{self.name} is not running")
        if self.setup is not None and not self.setup.balloon:
            return LinkError(f"{self.name} has no balloon: <memballoon model='virtio'/>")
        if self._busy_since is not None and (error := self._busy_error(self._busy_since)):
            return error
        reads, self._reads = self._reads, None
        return Reading(
            key=self.key,
            taken_at=self._read_at,
            max_size=self._max_size,
            guest_size=self._guest_size,
            held=self._held,
            statistics=self._all_statistics(),
            sampled_at=self.sampled_at,
            block_reads=reads,
        )

    def _busy_error(self, since: float) -> LinkError | None:
        """Return an error for one that cannot be read; for a moment, what is known will do."""
        busy = self._read_at - since
        if self._figures is not None and busy < _BUSY_PATIENCE:
            return None
        return LinkError(f"{self.name}: its monitor has not answered for {busy:.0f} s")

    def _all_statistics(self) -> dict[int, int]:
        if self.sampled_at is None or self._figures is None:
            return {}
        more = self._from_monitor
        if more is None or more.last_update != self._figures.last_update:
            return self._figures.statistics
        return {
            **{tag: value for tag, value in more.statistics.items() if tag in FROM_MONITOR},
            **self._figures.statistics,
        }
