"""What is done to a process: stopped, starved of time, memory, descriptors, disk.

Each is a context: what was done is taken back at its end, if the process is still there. Touches
processes by their numbers, and /proc.
"""

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from aerostat.testing.polling import until

# A starved process works for so long, and then rests for so long, in seconds.
_WORKS, _RESTS = 0.01, 0.09
# What a process that gets no memory more may still have: the next arena is larger.
_LAST_MEMORY = 64 << 10
# A file may become so large on a full disk: what is there can be written over.
_LAST_DISK = 4096

LIMITS = {
    "descriptors": resource.RLIMIT_NOFILE,
    "memory": resource.RLIMIT_AS,
    "disk": resource.RLIMIT_FSIZE,
}


@asynccontextmanager
async def paused(pid: int) -> AsyncIterator[None]:
    """Have process `pid` stopped; it certainly is when the context begins."""
    _send(pid, signal.SIGSTOP)
    try:
        with contextlib.suppress(TimeoutError):
            await until(lambda: state_of(pid) in ("T", "t", "Z", ""), within=5.0)
        yield
    finally:
        _send(pid, signal.SIGCONT)


@asynccontextmanager
async def starved(pid: int) -> AsyncIterator[None]:
    """Let process `pid` have a tenth of the time."""

    async def alternate() -> None:
        while True:
            _send(pid, signal.SIGSTOP)
            await asyncio.sleep(_RESTS)
            _send(pid, signal.SIGCONT)
            await asyncio.sleep(_WORKS)

    task = asyncio.create_task(alternate())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        _send(pid, signal.SIGCONT)


@asynccontextmanager
async def limited(pid: int, what: str) -> AsyncIterator[None]:
    """Let process `pid` have no more of something (see `LIMITS`) than it has."""
    number = LIMITS[what]
    has = {
        "descriptors": descriptors(pid),
        "memory": (status(pid, "VmSize") or 0) + _LAST_MEMORY,
        "disk": _LAST_DISK,
    }[what]
    before = None
    with contextlib.suppress(ProcessLookupError):
        before = resource.prlimit(pid, number)
        resource.prlimit(pid, number, (has, before[1]))
    try:
        yield
    finally:
        if before is not None:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, number, before)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


# ---- what is seen of processes


def state_of(pid: int) -> str:
    """Return the letter that says what a process does; "" for one that is not there."""
    fields = _stat(pid)
    return fields[0] if fields else ""


def children(pid: int) -> list[int]:
    """Return the processes that process `pid` has started and that run."""
    found = []
    for other in processes():
        fields = _stat(other)
        if fields and int(fields[1]) == pid and fields[0] != "Z":
            found.append(other)
    return found


def parent_of(pid: int) -> int | None:
    """Return the process that started process `pid`."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def session_of(pid: int) -> int | None:
    """Return the leader of a process's session."""
    fields = _stat(pid)
    return int(fields[3]) if fields else None


def processes() -> Iterator[int]:
    """Yield the numbers of all processes."""
    return (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdecimal())


def command_line(pid: int) -> str:
    """Return what a process was started as; "" for one that is not there."""
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""


def descriptors(pid: int) -> int:
    """Return how many descriptors a process has open; 0 for one that is not there."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - numbers are all that is asked
    except OSError:
        return 0


def status(pid: int, name: str) -> int | None:
    """Return an amount of /proc/PID/status, such as ``VmRSS``, in bytes."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


def described(place: str) -> Iterator[str]:
    """Yield a line for each process that `place` is named in the command line of.

    Its number, state, clock ticks in user and in kernel mode, where in the kernel it waits, and
    what it was started as.
    """
    for pid in processes():
        said, fields = command_line(pid), _stat(pid)
        if place in said and fields:
            waits = ""
            with contextlib.suppress(OSError):
                waits = Path(f"/proc/{pid}/wchan").read_text()
            yield f"{pid} {fields[0]} {fields[11]} {fields[12]} {waits} {said[:160]}"


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()
