"""The device's own program, where the kit starts it: again whenever it has ended or hangs.

Touches one process, in a session of its own, whose output goes to a file.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from aerostat.errors import MissingError
from aerostat.testing.closing import Closing

_LAST_WORDS = 300  # characters of what it said that a verdict repeats
_END_SECONDS = 2.0


class Program(Closing):
    """A command that serves a device at a socket."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._crash = ""
        self.starts = 0
        """How often it was started."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the program

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, socket: Path) -> None:
        """Start it, if it does not run. Raises `MissingError` if it cannot be started.

        A socket of one that has ended is removed: nobody else can be behind it.
        """
        if self.running:
            return
        self._note_crash()
        if self.starts:
            socket.unlink(missing_ok=True)
        self.starts += 1
        try:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
        except OSError as error:
            raise MissingError(f"cannot start {self.command[0]}: {error.strerror}") from error

    def take_crash(self) -> str:
        """Return how it has ended other than well since this was asked last, or ""."""
        self._note_crash()
        crash, self._crash = self._crash, ""
        return crash

    def _note_crash(self) -> None:
        status = None if self._process is None else self._process.poll()
        if status:
            how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
            self._crash = f"the device's program has ended by {how}{self._last_words()}"
            self._process = None

    def _last_words(self) -> str:
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip()
        lines = said[-_LAST_WORDS:].splitlines()
        return f": {lines[-1]}" if lines else ""

    def close(self) -> None:
        """End it, and all that it started."""
        self.stop()
        self._log.close()

    def stop(self) -> None:
        """End it by SIGTERM, and by SIGKILL if it does not go. That is no crash."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            if process.poll() is None:
                process.terminate()
                process.wait(_END_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
