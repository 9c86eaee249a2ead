"""Processes of the laboratory, each the leader of a session, and finding what a laboratory left.

In a session of its own a process is out of reach of the terminal's Ctrl-C. Everything it forks
stays in the session, so that it can be ended whole: SIGKILL to a user-mode Linux alone leaves
helpers that hold its sockets open. Leaders are recorded in the run directory; a process is only
ever killed if it is what the record says, since process numbers are used again: while the leader is
there, its number and start say so; a session without its leader has to run the same program, too.
What becomes a daemon leaves its session, and is found by its pid file (`daemons`).

Touches processes, /proc, and the records in the run directory.
"""

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from aerostat.testing.polling import until

_SUFFIX = ".session"
_OWNER = "owner"
_CHECK_EVERY = 0.01


class Session(NamedTuple):
    """A session's leader, so described that no later process passes for it."""

    leader: int
    program: str
    started: int
    """In clock ticks since the boot `boot`."""
    boot: str

    @classmethod
    def of(cls, leader: int) -> "Session":
        """Describe the running process `leader`. Raises `ProcessLookupError`."""
        stat = _stat(leader)
        if stat is None:
            raise ProcessLookupError(leader)
        return cls(leader, _program(leader), stat.started, _boot())

    @classmethod
    def of_daemon(cls, pid: int) -> "Session":
        """Describe the session of process `pid`, whose leader began it and went.

        Raises `ProcessLookupError` where the process or its leader is something else.
        """
        stat = _stat(pid)
        if stat is None or (stat.session != pid and _stat(stat.session) is not None):
            raise ProcessLookupError(pid)
        return cls(stat.session, _program(pid), stat.started, _boot())

    def members(self) -> list[int]:
        """Return the processes of the session that run."""
        leader = _stat(self.leader)
        if self.boot != _boot() or (leader is not None and leader.started != self.started):
            return []
        return [
            pid
            for pid in _pids()
            if (stat := _stat(pid)) is not None
            and stat.session == self.leader
            and stat.state != "Z"
            and stat.started >= self.started
            # The program of a leader that lives may have become another: scripts end with `exec`.
            and (leader is not None or _program(pid) == self.program)
        ]

    def leader_runs(self) -> bool:
        """Return whether the leader itself runs."""
        stat = _stat(self.leader)
        return stat is not None and stat.state != "Z" and Session.of(self.leader) == self

    def kill(self) -> int:
        """Send SIGKILL to all processes of the session; return how many there were."""
        members = self.members()
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(members)

    async def end(self, within: float = 5.0) -> None:
        """Kill the session and wait until none of it runs. Raises `TimeoutError`."""
        await until(lambda: not self.kill(), within=within)

    def record(self, directory: Path, name: str) -> None:
        """Write down the session, for `sweep`."""
        (directory / f"{name}{_SUFFIX}").write_text(json.dumps(self))

    @staticmethod
    def forget(directory: Path, name: str) -> None:
        """Remove what `record` wrote."""
        (directory / f"{name}{_SUFFIX}").unlink(missing_ok=True)


def own(directory: Path) -> None:
    """Write down that `directory` belongs to this process."""
    (directory / _OWNER).write_text(json.dumps(Session.of(os.getpid())))


def sweep(directory: Path, *, within: float = 5.0) -> int:
    """Kill what the laboratory of a run directory left behind, and remove the directory.

    Returns how many processes there were; a laboratory that still runs is let alone. Raises
    `TimeoutError` when something does not die within `within` seconds.
    """
    owner = _read(directory / _OWNER)
    if owner is None or (owner.leader_runs() and owner.leader != os.getpid()):
        return 0
    sessions = [record for path in directory.glob(f"*{_SUFFIX}") if (record := _read(path))]
    sessions += daemons(directory)
    found = sum(session.kill() for session in sessions)
    deadline = time.monotonic() + within
    while any(session.kill() for session in sessions):
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes of {directory} do not die")
        time.sleep(_CHECK_EVERY)
    shutil.rmtree(directory, ignore_errors=True)
    return found


def daemons(directory: Path) -> list[Session]:
    """Return what runs by the pid files below `directory`, and has left the session it began in.

    Such a process is taken for its own only if it runs on files of `directory`: its command line
    names them, or they are mounted where it is.
    """
    found = {_daemon(path, directory.name) for path in directory.rglob("*.pid")}
    return sorted(session for session in found if session is not None)


def _daemon(pid_file: Path, name: str) -> Session | None:
    try:
        pid = int(pid_file.read_text())
        places = [Path(f"/proc/{pid}/{file}").read_bytes() for file in ("cmdline", "mountinfo")]
        session = Session.of_daemon(pid)
    except (OSError, ValueError):
        return None
    return session if any(name.encode() in place for place in places) else None


def _read(path: Path) -> Session | None:
    """Return a recorded session; None where there is none, or not by this user."""
    try:
        if path.lstat().st_uid != os.geteuid():
            return None
        leader, program, started, boot = json.loads(path.read_text())
        return Session(int(leader), str(program), int(started), str(boot))
    except (OSError, ValueError, TypeError):
        return None


class _Stat(NamedTuple):
    state: str
    session: int
    started: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field, a name in parentheses, may hold anything.
    fields = text.rpartition(")")[2].split()
    return _Stat(fields[0], int(fields[3]), int(fields[19]))


def _program(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        return ""


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdecimal())


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
