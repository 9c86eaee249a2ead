"""What a front-end has read for its guest: the disk reads that no balloon driver tells.

The kernel counts what each process reads (proc(5), ``/proc/PID/io``), and says who is at the other
end of a socket (unix(7), ``SO_PEERCRED``). Of its two counters ``rchar`` has what was asked for by
read system calls, whether or not the host's page cache had it: that is what the guest reads. What
is read asynchronously (io_uring, Linux AIO) is not in it. ``read_bytes`` has what was fetched from
storage, in any way: that is what the guest reads where the VMM bypasses the page cache. Which of
them fits is for those to say who know the VMM; too low a count would be worse than none.

A VMM may have its disks read by helpers: user-mode Linux has one for all of them. So its children
count too, the oldest of them; those that end and were waited for are in its own count.

Touches `/proc`; what cannot be read there is not known, and hurts nobody. Standard library only.
"""

import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Literal

Counter = Literal["rchar", "read_bytes"]

# Helpers are forked before anything that serves a guest's programs, and these are few. Bounds what
# a sample costs and how many descriptors it needs, as user-mode Linux has a process for each
# process of its guest.
MAX_HELPERS = 8

_CREDENTIALS = struct.Struct("iII")  # pid, uid, gid
_LONGEST = 4096  # bytes; each file here is shorter, or its first part is enough


def peer_pid(connection: socket.socket) -> int:
    """Return who has connected, by the kernel's word; 0 where this process cannot see it."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid: int = _CREDENTIALS.unpack(raw)[0]
    return pid


class BlockReads:
    """Counts what process `pid` and its helpers read, until it is closed.

    Its files stay open: those of a process that has ended cannot be read any more, even if another
    one has got its number.
    """

    def __init__(
        self, pid: int, counter: Counter, log: Callable[[str], None], proc: str = "/proc"
    ) -> None:
        self._pid = pid
        self._counter = counter.encode()
        self._log = log
        self._proc = proc
        self._io = self._children = -1
        self._helpers: dict[int, int] = {}
        try:
            self._io = self._open(pid)
        except OSError as error:
            self._give_up(error)

    def total(self) -> int | None:
        """Return the bytes that were read so far; None where that cannot be known.

        It falls where a helper ends that nobody waits for, or another guest begins.
        """
        if self._io == -1:
            return None
        try:
            self._find_helpers()
            total = None
            while total is None:
                total = self._read_all()
        except (OSError, ValueError) as error:
            self._give_up(error)
            return None
        return total

    def close(self) -> None:
        """Close all files; nothing is known any more."""
        for descriptor in (self._io, self._children, *self._helpers.values()):
            if descriptor != -1:
                os.close(descriptor)
        self._io = self._children = -1
        self._helpers.clear()

    def _give_up(self, error: Exception) -> None:
        """Say once what is wrong: it stays so for as long as the front-end stays."""
        self._log(f"what the front-end (process {self._pid}) reads cannot be counted: {error}")
        self.close()

    def _find_helpers(self) -> None:
        """Open the counters of children that are new, and not ourselves."""
        try:
            if self._children == -1:
                path = f"{self._proc}/{self._pid}/task/{self._pid}/children"
                self._children = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            listed = os.pread(self._children, _LONGEST, 0).split()
        except OSError:  # a kernel that does not list them
            return
        for word in listed[:MAX_HELPERS]:
            pid = int(word)
            if len(self._helpers) < MAX_HELPERS and pid not in (*self._helpers, os.getpid()):
                try:
                    self._helpers[pid] = self._open(pid)
                except OSError:
                    continue  # it has ended already, or is another user's

    def _read_all(self) -> int | None:
        """Return what all have read; None if a helper has ended, which is let go.

        It may have been waited for only now, so that the front-end's count did not have its yet.
        """
        total = self._read(self._io)
        for pid, descriptor in self._helpers.items():
            try:
                total += self._read(descriptor)
            except OSError:
                os.close(self._helpers.pop(pid))
                return None
        return total

    def _open(self, pid: int) -> int:
        """Open the counters of a process. Raises `OSError`."""
        # In a sandbox with somebody else's /proc a number is somebody else's, too.
        mine = os.readlink(f"{self._proc}/self")  # noqa: PTH115 - a device has no use for pathlib
        if pid == 0 or mine != str(os.getpid()):
            raise OSError(errno.ESRCH, "it cannot be seen from here")
        return os.open(f"{self._proc}/{pid}/io", os.O_RDONLY | os.O_CLOEXEC)

    def _read(self, descriptor: int) -> int:
        """Return the counter in an open file. Raises `OSError`; `ValueError` if there is none."""
        for line in os.pread(descriptor, _LONGEST, 0).splitlines():
            name, _, value = line.partition(b": ")
            if name == self._counter:
                return int(value)
        raise ValueError(f"no {self._counter.decode()} there")
