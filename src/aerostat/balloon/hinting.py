"""Rounds of free page hinting, the device's side (virtio 1.2, 5.5.6.5).

Touches guest memory through its lane. A round is asked for by a command id in the configuration
space. The driver answers with that id, then with free ranges, then with STOP; what it sends under
any other id, or none, is not looked at (5.5.6.5.2). Here the ranges are only kept, for whoever
wants to know what of a guest's memory was free when the round had begun, such as a migration that
logs what is written meanwhile.

A hint is no promise: the driver may use a hinted page at any time, even before the device has
seen the hint (5.5.6.5.1). So a device that is to change a page must know that it was not written
to since the id was set, and must not do it after DONE. Nobody behind vhost-user can know the first.

The driver keeps what it hinted until DONE, so every round has to end with it.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from aerostat.balloon.abi import CMD_ID_DONE, CMD_ID_FIRST, CMD_ID_LAST, CMD_ID_STOP, Config
from aerostat.balloon.lane import Lane
from aerostat.balloon.pages import Range
from aerostat.balloon.range_set import RangeSet
from aerostat.balloon.statistics import Byteorder
from aerostat.virtio.chain import Chain
from aerostat.virtio.memory import Piece

CMD_ID_SIZE = 4

#: What is kept of one round, about 100 bytes each. Linux hints blocks of 4 MiB, and what adjoins
#: is one: so many are 64 GiB of free memory in which no two blocks are neighbours.
MAX_RANGES = 16384


class Round(Enum):
    """How far the latest round has come; the value is its name on the control socket."""

    NONE = "none"  # nobody has asked yet; the id is STOP
    ASKED = "asked"  # there is an id, which the driver has not answered
    RUNNING = "running"  # the driver hints
    ENDED = "ended"  # the driver has told all; it keeps the pages
    STOPPED = "stopped"  # hints are of no use for now, the id is STOP; the driver keeps the pages
    DONE = "done"  # the pages are the driver's again


#: (the round, what happens) → the round after it. What is not here changes nothing. "start" and
#: "reset" may happen in all of them.
TRANSITIONS = {
    (Round.ASKED, "begin"): Round.RUNNING,  # the driver sends the current id
    (Round.RUNNING, "end"): Round.ENDED,  # the driver sends STOP
    (Round.ASKED, "stop"): Round.STOPPED,
    (Round.RUNNING, "stop"): Round.STOPPED,
    (Round.ENDED, "stop"): Round.STOPPED,
    (Round.ASKED, "done"): Round.DONE,
    (Round.RUNNING, "done"): Round.DONE,
    (Round.ENDED, "done"): Round.DONE,
    (Round.STOPPED, "done"): Round.DONE,
}


class Hinting:
    """The rounds of one device, whose `config` shows the id.

    `round` is how far the latest has come, `id` its command id (0 before the first), `hinted` the
    guest addresses that came in it, and `complete` whether the driver has told all. What a driver
    does wrong is counted in `counters`.
    """

    __slots__ = ("_config", "_counters", "_next_id", "_said", "complete", "hinted", "id", "round")

    def __init__(self, config: Config, counters: dict[str, int]) -> None:
        self._config = config
        self._counters = counters
        self._next_id = CMD_ID_FIRST
        self._said: int | None = None  # the id under which the driver hints
        self.round = Round.NONE
        self.id = CMD_ID_STOP
        self.complete = False
        self.hinted = RangeSet(MAX_RANGES)

    # ---- what the device wants; each is followed by announcing the configuration

    def start(self) -> int:
        """Ask for a round; return its id, which no round has had before.

        (They come again after 2^32 rounds, and would do so under a driver that never said STOP.)
        """
        self.id = self._config.cmd_id = self._next_id
        self._next_id = self.id + 1 if self.id < CMD_ID_LAST else CMD_ID_FIRST
        self.round = Round.ASKED
        self._forget()
        return self.id

    def stop(self) -> bool:
        """Want no more hints for now; the driver keeps what it hinted. Return if that is news."""
        return self._go("stop", CMD_ID_STOP)

    def done(self) -> bool:
        """Let the driver have its pages back. Return whether that is news."""
        return self._go("done", CMD_ID_DONE)

    def reset(self) -> None:
        """Forget the round: the driver is gone, and with it what it hinted. Ids go on."""
        self.round = Round.NONE
        self.id = self._config.cmd_id = CMD_ID_STOP
        self._said = None
        self._forget()

    # ---- what the driver sends

    def command(self, payload: bytes, byteorder: Byteorder) -> bool:
        """Take a command id as it lay in its buffer; return false if it is none.

        What follows is hinted under this id, or under none.
        """
        self._said = None
        if len(payload) != CMD_ID_SIZE:
            return False
        said = int.from_bytes(payload, byteorder)
        if said == CMD_ID_STOP:
            self.complete |= self._step("end")
        elif said == self._config.cmd_id:
            if self.round is not Round.ASKED:
                return False  # an id is sent once (5.5.6.5.1)
            self._step("begin")
        self._said = said
        return True

    @property
    def usable(self) -> bool:
        """Whether what the driver hints now belongs to the current round."""
        return self.round is Round.RUNNING and self._said == self._config.cmd_id

    def steps(self, lane: Lane, chain: Chain, byteorder: Byteorder) -> Iterator[list[Range]]:
        """Take what a driver has sent, a command id or free ranges; yield what is to be kept."""
        if chain.readable:
            whole = chain.readable_length == CMD_ID_SIZE
            if not self.command(lane.read(chain) if whole else b"", byteorder):
                self._counters["bad_command_ids"] += 1
        if chain.writable and not self.usable:
            self._counters["stale_hints"] += 1
        elif chain.writable:
            yield from lane.ranges(chain)

    def keep(self, pieces: list[Piece]) -> list[Piece]:
        """Keep hinted memory, and return it; nothing if its round is over by now."""
        if not self.usable:
            return []
        for region, offset, length in pieces:
            if not self.hinted.add(region.guest_address + offset, length):
                self._counters["unkept_hints"] += 1
        return pieces

    # ---- going on in another process

    def state(self) -> dict[str, Any]:
        """Return all but what the configuration has, as values that JSON has."""
        return {
            "round": self.round.value,
            "id": self.id,
            "next_id": self._next_id,
            "said": self._said,
            "complete": self.complete,
            "ranges": self.hinted.ranges(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Be as another was, by its `state`."""
        self.round = Round(state["round"])
        self.id = state["id"]
        self._next_id = state["next_id"]
        self._said = state["said"]
        self.complete = state["complete"]
        self.hinted.clear()
        for address, length in state["ranges"]:
            self.hinted.add(address, length)

    def _forget(self) -> None:
        self.complete = False
        self.hinted.clear()

    def _go(self, what: str, cmd_id: int) -> bool:
        news = self._step(what)
        if news:
            self._config.cmd_id = cmd_id
        return news

    def _step(self, what: str) -> bool:
        after = TRANSITIONS.get((self.round, what))
        if after is None:
            return False
        self.round = after
        return True
