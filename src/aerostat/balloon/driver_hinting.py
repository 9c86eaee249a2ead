"""The driver's side of free page hinting (virtio 1.2, 5.5.6.5).

Touches guest memory through its lane. Runs inside guests. A round is the device's: it has a
command id (2 or more), is answered with that id, then with free ranges, then with STOP, one
request at a time.

What was hinted is best left alone until `released`. The guest may use it before if it must, even
while the device has the hint, but then has to write to it first: what it finds in a hinted page
is anything (5.5.6.5.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from aerostat.balloon.abi import CMD_ID_DONE, CMD_ID_FIRST, CMD_ID_STOP
from aerostat.balloon.driver_events import Event, Hinted, Range
from aerostat.balloon.driver_lane import MAX_REPORT, Lane
from aerostat.errors import UsageError
from aerostat.virtio.memory import Byteorder

#: A command id, in the queue's own byte order (5.5.6.5.3).
COMMAND_IDS = {"little": Struct("<I"), "big": Struct(">I")}


class Hints:
    """Answers a device's rounds; `cmd_id` is what its configuration space said last."""

    __slots__ = ("_answered", "_lane", "_pack", "_round", "cmd_id")

    def __init__(self, lane: Lane[Event], byteorder: Byteorder) -> None:
        self.cmd_id = CMD_ID_STOP
        self._lane = lane
        self._pack = COMMAND_IDS[byteorder].pack
        self._round = CMD_ID_STOP  # the id that was sent, until STOP is
        self._answered = False  # an id is sent once, however often it is read

    @property
    def wanted(self) -> bool:
        """Whether free ranges are to be sent now: as many as are free, in turns."""
        return self._round != CMD_ID_STOP and self._round == self.cmd_id and self._lane.idle

    @property
    def released(self) -> bool:
        """Whether the device has no need any more of what was hinted: all of it may be used."""
        return self.cmd_id == CMD_ID_DONE

    @property
    def room(self) -> int:
        """How many ranges may be sent at once."""
        return min(MAX_REPORT, self._lane.ring.size)

    def config_changed(self, cmd_id: int) -> None:
        """Take the command id as read from the configuration space, and answer it."""
        self._answered &= cmd_id == self.cmd_id
        self.cmd_id = cmd_id
        self.proceed()

    def send(self, ranges: Sequence[Range]) -> None:
        """Hint these (address, length) in bytes; none ends the round: there are no more.

        Raises `UsageError` if none are `wanted`, or for more than there is `room`.
        """
        if not self.wanted:
            raise UsageError("the device wants no hints now")
        if len(ranges) > self.room:
            raise UsageError(f"{len(ranges)} ranges in one request, but {self.room} is the most")
        if ranges:
            self._lane.lend(ranges, Hinted(list(ranges)))
        else:
            self._end()

    def proceed(self) -> None:
        """Say what has to be said, if the queue is idle: the end of a round, or its beginning."""
        if not self._lane.idle:
            return
        if self._round not in {CMD_ID_STOP, self.cmd_id}:
            self._end()
        elif self._round == CMD_ID_STOP and self.cmd_id >= CMD_ID_FIRST and not self._answered:
            self._answered = True
            self._round = self.cmd_id
            self._say(self.cmd_id)

    def _end(self) -> None:
        self._round = CMD_ID_STOP
        self._say(CMD_ID_STOP)

    def _say(self, command_id: int) -> None:
        self._lane.send(self._pack(command_id), Hinted([]))
