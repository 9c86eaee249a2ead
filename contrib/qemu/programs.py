"""A program that may crash: started, watched, and judged, with a backtrace where gdb can give one.

Needs the standard library alone; Linux. Touches processes, and one directory that is removed.
"""

import contextlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

#: Exit statuses of a reproducer.
REPRODUCED, NOT_REPRODUCED, CANNOT_TRY = 0, 1, 2

#: Seconds until a program counts as hung.
TIMEOUT = 20.0

# How many frames of a backtrace are shown, and how many lines of what was printed.
_FRAMES, _LINES = 10, 3


class CannotTryError(Exception):
    """The fault cannot be looked for here; the message says why."""


class _Image(NamedTuple):
    """The program's file, as it lies in memory."""

    path: Path
    address: int
    executed: Path
    """What the kernel was told to run: the same, or a loader that was told to run it."""


class Program:
    """A running program, with a directory of its own; `name` is what its file is called."""

    def __init__(self, name: str, program: str) -> None:
        found = shutil.which(program)
        if found is None:
            raise CannotTryError(f"there is no {program} here")
        self.path = str(Path(found).resolve())
        self.directory = Path(tempfile.mkdtemp(prefix="reproduce-"))
        self._name = name
        self._image: _Image | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, *arguments: str) -> str:
        """Return the first line of what it prints when it is run with these arguments."""
        command = [self.path, *arguments]
        answer = subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT)
        return answer.stdout.decode(errors="replace").partition("\n")[0]

    def start(self, arguments: Sequence[str]) -> None:
        """Start it; what it prints goes to a file, and should it crash, it leaves a core."""
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self.path, *arguments],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        # Any core at all, for it is removed with the directory.
        with contextlib.suppress(OSError, ValueError):
            hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.prlimit(self._process.pid, resource.RLIMIT_CORE, (hard, hard))

    def note_image(self) -> None:
        """Look where its file lies in memory, once it is up."""
        assert self._process is not None
        place = Path(f"/proc/{self._process.pid}")
        with contextlib.suppress(OSError):
            executed = (place / "exe").readlink()
            for line in (place / "maps").read_text().splitlines():
                span, _, offset, _, _, *path = line.split(maxsplit=5)
                if path and int(offset, 16) == 0 and Path(path[0]).name.startswith(self._name):
                    file, address = Path(path[0]), int(span.partition("-")[0], 16)
                    self._image = _Image(file, address, executed)
                    return

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def ends_within(self, seconds: float) -> bool:
        """Wait until it ends, for so long at most; return whether it did."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            return True
        return False

    def close(self) -> None:
        """Kill it, and remove its directory."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def said(self) -> str:
        """Return what it has printed, without what is only for information."""
        log = self.directory / "log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join(line for line in lines if " info: " not in line)

    def verdict(self) -> int:
        """Say what has become of it, and return a reproducer's exit status."""
        status = self._process.poll() if self._process is not None else None
        if status is None:
            tell("not reproduced with this version: it runs on")
            return NOT_REPRODUCED
        if status >= 0:
            raise CannotTryError(f"it ended with status {status}: {self.said()}")
        tell(f"reproduced: {signal.Signals(-status).name}")
        for line in [*self.said().splitlines()[-_LINES:], *self._backtrace()]:
            tell(f"    {line}")
        return REPRODUCED

    def _backtrace(self) -> list[str]:
        """Return the head of the crashed thread's backtrace; nothing without gdb or a core."""
        gdb, core = shutil.which("gdb"), next(self.directory.glob("core*"), None)
        if gdb is None or core is None or self._image is None:
            return ["(no backtrace: that takes gdb, and a core file in the working directory)"]
        wanted = ["echo -\\n", f"backtrace {_FRAMES}", "x/i $pc"]
        if self._image.executed != self._image.path:
            symbols = f"add-symbol-file {self._image.path} -o {self._image.address:#x}"
            wanted.insert(0, symbols)
        command = [gdb, "--batch", "--nx", str(self._image.executed), str(core)]
        for one in wanted:
            command += ["--eval-command", one]
        answer = subprocess.run(command, capture_output=True, check=False, timeout=120)
        # Before the mark gdb tells where the program is, which the backtrace does, too.
        told = answer.stdout.decode(errors="replace").partition("\n-\n")[2]
        return [line for line in told.splitlines() if re.match(r"#\d|=> ", line)]


def tell(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def judge(program: Program, attempt: Callable[[], None]) -> int:
    """Carry out an attempt on a program, say what came of it, and return the exit status.

    That the program goes while it is spoken to is what the attempt is for, and no error.
    """
    try:
        tell(f"trying: {program.ask('--version')}")
        try:
            attempt()
        except (ConnectionError, EOFError):
            # It has closed its sockets, so it ends.
            program.ends_within(TIMEOUT)
        return program.verdict()
    except (CannotTryError, TimeoutError) as error:
        return cannot_try(error)
    finally:
        program.close()


def cannot_try(error: Exception) -> int:
    """Say why a fault cannot be looked for, and return the exit status."""
    tell(f"cannot try: {error}")
    return CANNOT_TRY
