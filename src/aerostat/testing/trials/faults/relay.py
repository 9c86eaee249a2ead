"""What stands between two that talk over a unix socket, and can be cut, torn or held up.

Touches sockets in the run directory, and threads: two for each conversation, which wait in the
kernel. Descriptors are passed on with the bytes that they came with, so a vhost-user conversation
is read message by message: what is glued together would have its descriptors at the wrong place.
"""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

_HEADER = struct.Struct("<III")  # request, flags, size of the payload: vhost-user, "Header"
_MOST_DESCRIPTORS = 16
_AT_ONCE = 64 << 10
_BACKLOG = 16


class Relay:
    """Passes on what is said between those who connect to `path` and who listens at `behind`.

    `framed` for vhost-user. It begins with `open`.
    """

    def __init__(self, path: Path, behind: Path, *, framed: bool) -> None:
        self.path = path
        self._behind = behind
        self._framed = framed
        self._listener: socket.socket | None = None
        self._goes = threading.Event()
        self._goes.set()
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        self._tears = False

    def open(self) -> None:
        """Listen."""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen(_BACKLOG)
        threading.Thread(
            target=self._accept, args=(self._listener,), name="relay", daemon=True
        ).start()

    def close(self) -> None:
        """Hang up, for good."""
        if self._listener is not None:
            # A thread in `accept` is not woken by `close`.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self.path.unlink(missing_ok=True)
        self.go_on()
        self.cut()

    @property
    def conversations(self) -> int:
        """How many there are."""
        with self._lock:
            return len(self._ends) // 2

    def cut(self) -> None:
        """End all conversations."""
        with self._lock:
            for end in self._ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def tear(self) -> None:
        """Pass on the next message by half, and end the conversation."""
        self._tears = True

    def hold(self) -> None:
        """Pass on nothing, until `go_on`."""
        self._goes.clear()

    def go_on(self) -> None:
        """Pass on what has been waiting, and all that comes."""
        self._tears = False
        self._goes.set()

    # ---- in threads

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                theirs = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._meet, args=(theirs,), name="relay", daemon=True).start()

    def _meet(self, theirs: socket.socket) -> None:
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs, ours, self._counted(theirs, ours):
            self._goes.wait()
            try:
                ours.connect(str(self._behind))
            except OSError:
                return  # nobody is there, and who connected sees it
            back = threading.Thread(
                target=self._carry, args=(ours, theirs), name="relay", daemon=True
            )
            back.start()
            self._carry(theirs, ours)
            back.join()

    @contextlib.contextmanager
    def _counted(self, *ends: socket.socket) -> Iterator[None]:
        """Have these ends cut with all others, from before anybody behind hears of them."""
        with self._lock:
            self._ends |= {*ends}
        try:
            yield
        finally:
            with self._lock:
                self._ends -= {*ends}

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while self._pass_on(source, sink):
                pass
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> bool:
        """Pass on a message, or what there is of it; return whether the conversation goes on."""
        data, descriptors = self._read(source)
        try:
            self._goes.wait()
            if self._tears:
                data = data[: len(data) // 2]
            if data:
                sent = socket.send_fds(sink, [data], descriptors)
                sink.sendall(data[sent:])
            return bool(data) and not self._tears
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _read(self, source: socket.socket) -> tuple[bytes, list[int]]:
        size = _HEADER.size if self._framed else _AT_ONCE
        data, descriptors, _, _ = socket.recv_fds(
            source, size, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
        if not self._framed:
            return data, descriptors
        while 0 < len(data) < size and (more := source.recv(size - len(data))):
            data += more
            if len(data) == _HEADER.size:
                break
        if len(data) == _HEADER.size:
            size += _HEADER.unpack(data)[2]
            while len(data) < size and (more := source.recv(size - len(data))):
                data += more
        return data, descriptors
