"""The command that is a guest: started with the socket of its balloon, ended with all it forked.

Touches processes, and the file that takes what the command says. Always ended by SIGKILL to the
whole session: a user-mode Linux does not survive SIGTERM in one piece, and leaves helpers behind
that hold its sockets open.
"""

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from aerostat.errors import MissingError, UsageError
from aerostat.testing.processes.sessions import Session

#: What stands for the socket in a command's arguments.
PLACE = "{socket}"
#: The variable that has it, too.
VARIABLE = "AEROSTAT_SOCKET"

_LAST_WORDS = 1000  # bytes of its log that a verdict may repeat
_END_SECONDS = 5.0
_LOOK_EVERY = 0.01


class Command:
    """A command that runs, from here until `end`.

    `arguments` is the command line, in which `PLACE` stands for `socket`; it is written to the end
    of `log`, and then all that the command says. Raises `MissingError` where there is no such
    program, `UsageError` where it cannot run.
    """

    def __init__(self, arguments: Sequence[str], socket: Path, log: Path) -> None:
        self._log = log
        filled_in = [argument.replace(PLACE, str(socket)) for argument in arguments]
        try:
            with log.open("ab") as output:
                output.write(f"$ {shlex.join(filled_in)}\n".encode(errors="replace"))
                output.flush()
                self._from = output.tell()
                self._process = subprocess.Popen(
                    filled_in,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, VARIABLE: str(socket)},
                    start_new_session=True,
                )
        except FileNotFoundError as error:
            raise MissingError(f"there is no program {filled_in[0]}") from error
        except OSError as error:
            raise UsageError(f"{filled_in[0]} cannot be run: {error.strerror}") from error
        self._session: Session | None = None
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self._session = Session.of(self._process.pid)

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether that process runs."""
        return self._process.poll() is None

    def how_it_ended(self) -> str:
        """Return how the command ended, and the last that it said."""
        status = self._process.poll()
        if status is None:
            return "the command runs"
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"the command {how}; it said: {self.last_words()}"

    def said(self) -> str:
        """Return all that the command has said so far."""
        with self._log.open("rb") as log:
            log.seek(self._from)
            return log.read().decode(errors="replace")

    def last_words(self) -> str:
        """Return the last lines of what the command said, in one."""
        text = self.said()[-_LAST_WORDS:]
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return " | ".join(lines[-3:]) or "nothing"

    def end(self) -> None:
        """End the command and all that it forked. Raises `TimeoutError` where it does not die."""
        deadline = time.monotonic() + _END_SECONDS
        while self._session is not None and self._session.kill():
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} does not die")
            self._process.poll()
            time.sleep(_LOOK_EVERY)
        self._process.wait(_END_SECONDS)
