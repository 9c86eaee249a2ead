"""A device at a socket, on which checks are played: a connection and a guest of its own for each.

Touches the socket and, where the kit was given one, the device's program. Implements
`running.Stage`.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from aerostat.errors import AerostatError, LinkError
from aerostat.testing.check.checks import Check
from aerostat.testing.check.deadline import Deadline
from aerostat.testing.check.device.machine import Machine, spans
from aerostat.testing.check.device.offer import Offer
from aerostat.testing.check.device.options import Options
from aerostat.testing.check.device.program import Program
from aerostat.testing.check.device.socket_transport import SocketTransport
from aerostat.testing.closing import Closing
from aerostat.testing.mocks.frontend import SharedFile
from aerostat.units import MIB

_AGAIN_SECONDS = 0.02
# How long a device may take to start.
_FIRST_SECONDS = 5.0
# A program that ends so often before anybody can connect will do so again.
_STARTS = 3
# Where the guest's memory begins in its file, so that a device that forgets the offset is found.
_FILE_OFFSET = 2 * MIB
# A device that hangs may be given up only by who waits; so many times, then it is left alone.
_PATIENCE_LOST = 2


class SocketStage(Offer, Closing):
    """The device that listens at `socket`; started by `command`, if there is one."""

    def __init__(
        self, socket: Path, options: Options | None = None, command: Sequence[str] = ()
    ) -> None:
        super().__init__(str(socket), options or Options())
        self.socket = socket
        self._program = Program(command) if command else None
        self._gone = ""
        self._troubles = 0

    def close(self) -> None:
        """End the device's program, if it is ours."""
        if self._program is not None:
            self._program.close()

    def meet(self) -> None:
        """Connect for the first time. Raises `AerostatError` if nobody can be met."""
        try:
            with self._connect(Deadline(max(self.options.patience, _FIRST_SECONDS))) as transport:
                self.offered = transport.offered
        except LinkError as error:
            crash = self._program.take_crash() if self._program is not None else ""
            raise LinkError(f"{error}; {crash}" if crash else str(error)) from error
        self.sound = not self._trouble()

    def open(self, check: Check[Machine], deadline: Deadline) -> Machine:  # noqa: ARG002 - Stage's
        """Return a guest on a new connection."""
        if self._gone:
            raise LinkError(self._gone, retryable=False)
        return self._machine(deadline)

    def _machine(self, deadline: Deadline) -> Machine:
        options = self.options
        return Machine(
            self._connect(deadline),
            deadline,
            patience=options.patience,
            hush=options.hush,
            wanted=self.usable,
            rule=options.rule,
        )

    def _connect(self, deadline: Deadline) -> SocketTransport:
        """Connect, waiting for a device that is only starting, or has not noticed a hang-up."""
        limit = Deadline(deadline.left(max(self.options.patience, 1.0)))
        begin = 0 if self._program is None else self._program.starts
        hopeless = False
        while True:
            if self._program is not None:
                self._program.start(self.socket)
                hopeless = self._program.starts - begin > _STARTS
            try:
                file = SharedFile(spans(self.options.memory), _FILE_OFFSET)
                return SocketTransport(str(self.socket), file, patience=self.options.patience)
            except LinkError:
                if limit.over or hopeless:
                    raise
            time.sleep(_AGAIN_SECONDS)

    def examine(self, check: Check[Machine]) -> str:
        """Return what is wrong with the device, judged by a good request on a new connection."""
        if self._gone:
            return ""
        trouble = self._trouble()
        crash = self._program.take_crash() if self._program is not None else ""
        if trouble:
            return self._give_up(check, crash or trouble)
        self._troubles = 0
        return crash

    def _trouble(self) -> str:
        """Return what is wrong with a new connection and, where it was served, a good request."""
        try:
            with self._machine(Deadline(3 * self.options.patience + 1)) as machine:
                if self.sound:
                    machine.start()
                    machine.inflate(machine.pages[0][0])
        except (AerostatError, OSError) as error:
            return f"afterwards, a good request fails: {error}"
        return ""

    def _give_up(self, check: Check[Machine], trouble: str) -> str:
        self._troubles += 1
        if self._program is not None:
            self._program.stop()
        elif self._troubles >= _PATIENCE_LOST or not self._listens():
            self._gone = (
                f"the device is gone since the check {check.title};"
                " with its command after -- it would be started again"
            )
        return trouble

    def _listens(self) -> bool:
        try:
            self._connect(Deadline(self.options.patience)).close()
        except AerostatError:
            return False
        return True
