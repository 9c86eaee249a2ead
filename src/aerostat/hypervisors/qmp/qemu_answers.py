"""A guest's answers to QEMU's questions: which are new, and how old they can be. Pure.

QEMU keeps the last figures that the guest has sent, with the second of the host's wall clock, which
may be set, at which they came. Nothing says which question they answer. So they are dated by our
own clock, and by the earliest question that they can be the answer to: their age may be taken for
more than it is, and never for less.

Rules:

- A guest has one buffer. While it has not answered, QEMU cannot ask it again: what comes late
  answers the first question, however often it was repeated.
- Figures that are the same, of the same second, cannot be told from those before. The question
  stays open then, and those before stay as old as they are.
- A machine that goes on after a migration, or from a snapshot, has QEMU read the guest's last
  buffer once more, and date it anew: those are old figures. Whoever looks before the next question
  dates them so.
- A machine that was reset is another one: its figures are forgotten.
"""

from typing import NamedTuple


class Figures(NamedTuple):
    """One answer to ``guest-stats``."""

    last_update: int
    """Seconds of the host's wall clock; 0 is never. Only whether it changed matters."""
    statistics: dict[int, int]


class Answers:
    """What one guest has answered so far. Times are monotonic seconds.

    `figures` are those that there were before anybody asked: how old they are is not known, and
    they only serve to recognise newer ones. `interval` is that at which QEMU also asks by itself,
    for somebody else; None where it does not.
    """

    def __init__(self, figures: Figures, now: float, *, interval: int | None) -> None:
        self._latest = figures
        self._interval = interval
        self._asked_at = now
        self._settled_at = now  # when it was last seen that a question had been answered
        self._open = False
        self.sampled_at: float | None = None
        """The earliest moment at which the guest can have made `figures`."""
        self.look_first = True
        """Whether there may be new figures now, which are no answer to the next question."""

    @property
    def figures(self) -> dict[int, int]:
        """The guest's last figures; none while their age is not known."""
        return {} if self.sampled_at is None else self._latest.statistics

    @property
    def answered(self) -> bool:
        """Whether the guest has answered all that it was asked."""
        return not self._open

    def may_look_the_same(self, wall: float) -> bool:
        """Tell whether an answer that comes now can be one that cannot be told from the last.

        `wall` is the host's wall clock: that of QEMU, too.
        """
        return int(wall) == self._latest.last_update

    def asked(self, now: float) -> None:
        """Take note of a question."""
        if not self._open:
            self._open = True
            self._asked_at = self._asked_already(now)
        self.look_first = True  # until the answer has been seen

    def _asked_already(self, now: float) -> float:
        """Return when the open question was asked: perhaps QEMU's own timer was there first."""
        if self._interval is None:
            return now
        return min(now, self._settled_at + self._interval)

    def note(self, figures: Figures, now: float) -> bool:
        """Take note of what QEMU has; tell whether the guest has made it since the last time."""
        if figures == self._latest:
            return False
        self._latest = figures
        self._open = False
        self._settled_at = now
        # With an own timer of QEMU's there may be more at any time.
        self.look_first = self._interval is not None
        # After a reset of the device there are no figures until its driver is back.
        self.sampled_at = None if figures.last_update == 0 else self._asked_at
        return self.sampled_at is not None

    def doubt(self) -> None:
        """Take note that QEMU may show figures for new that are not."""
        self.look_first = True

    def forget(self) -> None:
        """Take note that the machine was reset."""
        self.look_first = True
        self.sampled_at = None
