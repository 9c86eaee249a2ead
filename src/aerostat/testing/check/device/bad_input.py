"""The catalogue of bad requests, played on the queues of a device: `conformance.bad_requests`.

After each, every chain that makes sense has come back once, with nothing written; no page was taken
that the request does not name; and a good request is served, at once or, where the ring may be
broken by what was on it, once the device has asked to be reset and was.
"""

import time

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.errors import LinkError, UsageError
from aerostat.testing.check.checks import Check, Judge, Unobservable
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.page_check import Pages, shown
from aerostat.testing.check.device.registry import CHECKS
from aerostat.testing.conformance.bad_ground import Case, Ground, play_good, returned, used_index
from aerostat.testing.conformance.bad_requests import CASES, RINGS
from aerostat.testing.mocks.driver import DriverRing, Used

_HOW = (
    "Put it on a queue, as aerostat.testing.conformance.bad_requests has it, {count} in all. Each "
    "chain that makes sense must come back, no page be taken that it does not name, and a good "
    "request be served afterwards: at once or, where the ring makes no sense, when the device has "
    "asked to be reset."
)
_FEATURE = {
    Queue.STATS: "STATS_VQ",
    Queue.REPORTING: "PAGE_REPORTING",
    Queue.HINT: "FREE_PAGE_HINT",
}
_ID = {
    Queue.INFLATE: "BAD-DEV-1",
    Queue.DEFLATE: "BAD-DEV-1",
    Queue.STATS: "BAD-DEV-2",
    Queue.REPORTING: "BAD-DEV-3",
    Queue.HINT: "BAD-DEV-4",
}
_RINGS = "BAD-DEV-5"
_LOOK_EVERY = 0.001


class _Trial:
    """One case on one machine."""

    def __init__(self, machine: Machine, judge: Judge, case: Case) -> None:
        self.machine = machine
        self.judge = judge
        self.case = case
        self.id = judge.ids[0]
        self.ground = self._ground()

    def _ground(self) -> Ground:
        self.machine.start()
        ring = self.machine.must_run(self.case.queue).ring
        if not isinstance(ring, DriverRing):
            raise Unobservable("the catalogue is of split rings")
        return Ground(ring, self.machine.memory, self.machine.scratch_at, self.machine.beyond)

    def play(self) -> None:
        """Play the case, see what comes of it, and that a good request is served."""
        watched = Pages(self.machine, self._watched())
        begin = used_index(self.ground.ring)
        try:
            self.case.play(self.ground)
        except UsageError as error:
            raise Unobservable(f"the device's queue is too small for it: {error}") from error
        written = {*watched.changed()}  # by the request itself, which may lie among them
        watched.numbers = [one for one in watched.numbers if one not in written]
        self.machine.lanes[self.case.queue].kick()
        back = self._wait(begin, self.case.chains)
        said = sum(used.written for used in back)
        self.judge.expect(said == 0, self.id, f"{said} bytes said to be written")
        self._see_pages(watched)
        whole = self.case.may_break or len(back) == self.case.chains
        if whole and self._serves():
            return
        trouble = f"{len(back)} buffers came back of {self.case.chains}"
        self._ask_for_reset("a good request after it is not served" if whole else trouble)

    def _wait(self, begin: int, count: int) -> list[Used]:
        """Return what came back; where a ring may be broken, only what does so at once."""
        patience = self.machine.hush if self.case.may_break else self.machine.patience
        end = time.monotonic() + self.machine.deadline.left(patience)
        while len(returned(self.ground.ring, begin)) < count and time.monotonic() < end:
            self.machine.lanes[self.case.queue].called(_LOOK_EVERY)
        self.machine.transport.settle()
        return returned(self.ground.ring, begin)

    def _watched(self) -> list[int]:
        """Return pages that might be taken by mistake: at ends, and beside what is named."""
        low, high = self.machine.pages
        numbers = [*low[:16], *low[-2:], *high[:4], *high[-2:]]
        if self.case.queue in (Queue.REPORTING, Queue.HINT):
            # What these name lies in the scratch memory, and is not read as a request.
            first = self.machine.scratch_at // PAGE_SIZE
            numbers += range(first, first + 16)
        return numbers

    def _see_pages(self, watched: Pages) -> None:
        allowed = {*self.case.taken(self.ground)}
        wrong = watched.changed([one for one in watched.numbers if one not in allowed])
        self.judge.expect(not wrong, self.id, f"{shown(wrong)} taken, which nobody named")

    def _serves(self) -> bool:
        """Return whether a good request is served."""
        lane = self.machine.lanes[self.case.queue]
        begin = used_index(self.ground.ring)
        # A buffer of statistics is kept; the one before it comes back.
        for _ in range(2 if self.case.queue is Queue.STATS else 1):
            play_good(self.ground, self.case.queue)
            lane.kick()
        return bool(self._wait(begin, 1))

    def _ask_for_reset(self, trouble: str) -> None:
        if not self.machine.transport.needs_reset():
            self.judge.violated(self.id, f"{trouble}, and it does not ask to be reset")
        self.ground = self._ground()
        if not self._serves():
            self.judge.violated(self.id, "a good request is not served after a reset either")


def _check(case: Case, id_: str, count: int) -> Check[Machine]:
    def play(machine: Machine, judge: Judge) -> None:
        try:
            _Trial(machine, judge, case).play()
        except LinkError as error:
            # To hang up is to ask for a new beginning; whether that is served is looked at next.
            if error.retryable:
                raise
        except ConnectionError:
            return

    needs = [_FEATURE[case.queue]] if case.queue in _FEATURE else []
    how = _HOW.format(count=count)
    return Check("bad-requests", (id_,), how, play, tuple(needs), parameter=case.name)


def _register() -> None:
    for case in CASES:
        id_ = _RINGS if case in RINGS else _ID[case.queue]
        count = sum((_RINGS if one in RINGS else _ID[one.queue]) == id_ for one in CASES)
        CHECKS.put(_check(case, id_, count))


_register()
