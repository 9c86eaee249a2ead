"""Guests for checks: one that many checks share, and fresh ones for those that need them.

A fresh guest is a new start of the command. What a guest did wrong during a check that was not
about that is kept for the last check, which judges it. Implements `running.Stage`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.device_features import KNOWN_FEATURES
from aerostat.errors import AerostatError, LinkError
from aerostat.testing.check.checks import Check, Judge
from aerostat.testing.check.deadline import Deadline
from aerostat.testing.check.driver.complaints import complaints
from aerostat.testing.check.driver.stand import Stand
from aerostat.testing.check.features import feature_names, feature_set, missing
from aerostat.testing.closing import Closing
from aerostat.testing.conformance.watched_device import Offence
from aerostat.virtio.features import RING_PACKED, bit

# The most that is asked of a guest for long; enough for dozens of requests of Linux's.
_MOST_PAGES = 8192

#: What is offered unless the user says otherwise. Packed rings have a check of their own.
OFFERED = KNOWN_FEATURES & ~bit(RING_PACKED)


class Options(NamedTuple):
    """What the user says of a guest.

    `name` is what it is called, `features` are offered at most. `patience` is how long in seconds
    a driver may take for one thing, `start` how long a guest may take to get there; `hush` is for
    how long is watched that something does not happen. What guests say goes to the end of `log`.
    """

    name: str = ""
    features: int = OFFERED
    patience: float = 10.0
    start: float = 60.0
    hush: float = 0.6
    log: Path | None = None


class Noted(NamedTuple):
    """An offence, and the check during which it was seen."""

    check: str
    offence: Offence


class DriverStage(Closing):
    """The guest that `command` is, `directory` being ours for its socket and its log."""

    def __init__(
        self, command: Sequence[str], directory: Path, options: Options | None = None
    ) -> None:
        self.command = tuple(command)
        self.directory = directory
        self.options = options or Options()
        self.taken = 0
        self.noted: list[Noted] = []
        self.untold: set[Queue] = set()
        self._shared: Stand | None = None
        self._trouble = ""

    def close(self) -> None:
        """End the guest that is there."""
        self._drop()

    def meet(self) -> None:
        """Start the guest for the first time; what its driver takes decides what can be checked.

        Raises `LinkError` if nobody comes to the socket, and as `Stand` does.
        """
        self._shared = stand = self.start(self.options.features)
        if not stand.wait(lambda: stand.connected, self.options.start):
            raise LinkError(f"nobody came to the socket: {stand.command.how_it_ended()}")
        stand.meet(self.options.start)
        self.taken = stand.device.negotiated

    def description(self) -> str:
        """Return who is checked, and which features it takes."""
        name = self.options.name or self.command[0]
        return f"{name}: {' '.join(feature_names(self.taken))}"

    def lacks(self, check: Check["Subject"]) -> str:
        """Return which of a check's features the driver does not take."""
        lacking = missing(check.needs, self.options.features)
        if lacking:
            return f"{', '.join(lacking)} is not offered"
        declined = missing(check.needs, self.taken)
        return f"{', '.join(declined)} is not taken" if declined else ""

    @contextmanager
    def open(self, check: Check["Subject"], deadline: Deadline) -> Iterator["Subject"]:
        """Yield what a check plays against; whatever it started ends with it."""
        subject = Subject(self, deadline)
        self._trouble = ""
        try:
            yield subject
        finally:
            self._trouble = self._sum_up(check, subject)

    def examine(self, check: Check["Subject"]) -> str:  # noqa: ARG002 - the check is over
        """Return what was wrong with the guest when the check was over."""
        return self._trouble

    def start(self, features: int, holding: Collection[Queue] = ()) -> Stand:
        """Start the command, to which these features are offered."""
        return Stand(
            self.command,
            self.directory,
            log=self.options.log or self.directory / "command.log",
            features=features,
            patience=self.options.patience,
            holding=holding,
        )

    def shared(self) -> Stand:
        """Return the guest that checks share, started if need be. Raises `LinkError`."""
        stand = self.seen_from_the_start()
        expect_work(stand)
        return stand

    def seen_from_the_start(self) -> Stand:
        """Return the same whether its driver came to work or not."""
        if self._shared is None:
            self._shared = self.start(self.options.features)
            self._shared.meet(self.options.start)
        return self._shared

    def _drop(self) -> None:
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def _sum_up(self, check: Check["Subject"], subject: "Subject") -> str:
        """See whether the guest is sound, note what it did, and end what is of no more use."""
        trouble = ""
        for stand in subject.stands:
            stand.limit = None
            trouble = trouble or self._state_of(stand, subject)
            if not subject.lawless:
                self.noted += [Noted(check.title, one) for one in subject.offences_of(stand)]
                self.untold |= stand.untold
            if stand is not self._shared:
                stand.close()
            elif trouble or not subject.sound:
                self._drop()
        return trouble

    def _state_of(self, stand: Stand, subject: "Subject") -> str:
        if not stand.connected and not stand.alive:
            return "" if subject.lost else stand.command.how_it_ended()
        said = complaints(stand.command.said())
        if said:
            return f"the guest complained: {said[0]}"
        if subject.lawless or subject.lost:
            subject.sound = False
            return ""
        try:
            # One whose balloon is stuck was judged for that, or will be; nobody else is to suffer.
            subject.sound = stand.calm()
            return "" if stand.lives() else "afterwards the driver answers no more"
        except AerostatError as error:
            return str(error)


def expect_work(stand: Stand) -> None:
    """Raise `LinkError`, with the reason if there is one, unless the driver is at work."""
    if not stand.at_work:
        why = stand.notes.lines[-1] if stand.notes.lines else stand.command.how_it_ended()
        raise LinkError(f"no driver came to work: {why}")


class Subject:
    """What one check plays against: the shared guest, or fresh ones.

    A check that does what no device may sets `lawless`: what the driver does then is judged by
    that check alone, and the guest is not used again. One that takes the device away sets `lost`.
    """

    def __init__(self, stage: DriverStage, deadline: Deadline) -> None:
        self.stage = stage
        self.options = stage.options
        self.deadline = deadline
        self.lawless = False
        self.lost = False
        self.sound = True
        self.stands: list[Stand] = []
        self._before: dict[int, int] = {}

    def at_work(self) -> Stand:
        """Return a guest whose driver is at work, with all features. Raises `LinkError`."""
        return self._take(self.stage.shared())

    def fresh(
        self,
        *,
        without: Iterable[str] = (),
        also: Iterable[str] = (),
        holding: Collection[Queue] = (),
    ) -> Stand:
        """Return a new guest whose driver is at work.

        `without` are features not to offer, `also` further ones. Raises `LinkError`.
        """
        assert not self.stands, "a check has one guest at a time"
        self.stage.close()
        features = self.options.features & ~feature_set(without) | feature_set(also)
        stand = self._take(self.stage.start(features, holding))
        stand.meet(self.options.start)
        expect_work(stand)
        return stand

    def seen_from_the_start(self) -> Stand:
        """Return a guest that may have come to work or not, with all features."""
        return self._take(self.stage.seen_from_the_start())

    def judge_offences(self, judge: Judge) -> None:
        """Have the check judge what its guests did against its own statements."""
        for stand in self.stands:
            for offence in self.offences_of(stand):
                if offence.id in judge.ids:
                    judge.violated(offence.id, offence.words)

    def offences_of(self, stand: Stand) -> list[Offence]:
        """Return what a guest did wrong during this check."""
        return stand.device.offences[self._before[id(stand)] :]

    def _take(self, stand: Stand) -> Stand:
        if stand not in self.stands:
            self.stands.append(stand)
            self._before[id(stand)] = len(stand.device.offences)
        stand.limit = self.deadline
        return stand


def some_pages(stand: Stand, share: float = 0.25, most: int = _MOST_PAGES) -> int:
    """Return a number of pages that is so much of the guest's memory, at most `most`."""
    return min(int(stand.guest.max_size * share) // PAGE_SIZE, most)
