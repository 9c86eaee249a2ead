"""Listening on a Unix socket that only its owner may use, letting in who comes, and leaving again.

Touches the file system at the path it is given; standard library only.
"""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable

from aerostat.device.loop import READ, Loop, Timer
from aerostat.errors import PeerError, UsageError
from aerostat.vhost_user.descriptors import OwnedDescriptor

# Connections that wait to be accepted; more are refused by the kernel.
BACKLOG = 16

# What accept(2) says where no descriptor or memory is left; the connection still waits then.
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

# How long to rest then, in seconds: the kernel would say at once again that somebody waits.
REST_SECONDS = 0.1


class Listener:
    """A non-blocking socket that listens at `path`, mode 0600.

    By its `identity` (device and inode) the path is known to be still its own. A socket that was
    left there is replaced if nobody listens on it. Raises `UsageError` where somebody does, where
    the path is something else, or where it cannot be used.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = _new_socket()
        self._is_ours = True
        # Listen first, appear then: who sees the path can connect. (A stale one is replaced so.)
        unfinished = f"{path}.{os.getpid()}"
        try:
            _check_free(path)
            # The mode is right from the first moment: a chmod afterwards would come too late.
            before = os.umask(0o177)
            try:
                self._socket.bind(unfinished)
            finally:
                os.umask(before)
            self._socket.listen(BACKLOG)
            self.identity = _identity(unfinished)
            os.rename(unfinished, path)  # noqa: PTH104 - a device process has no use for pathlib
        except OSError as error:
            self._socket.close()
            raise UsageError(f"cannot listen on {path}: {error.strerror or error}") from error
        except UsageError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor to wait for connections on."""
        return self._socket.fileno()

    def accept(self) -> socket.socket | None:
        """Return the next connection; None if there is none, or it has gone again.

        Raises `OSError` where this process, or this host, has no room for one.
        """
        try:
            return self._socket.accept()[0]
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise
            return None

    def leave(self) -> None:
        """Let go of the socket, which another process listens on, and of its path."""
        self._is_ours = False
        self._socket.close()

    def close(self) -> None:
        """Stop listening, and remove the path unless somebody else has taken it over."""
        with contextlib.suppress(OSError):
            if self._is_ours and _identity(self._path) == self.identity:
                os.unlink(self._path)  # noqa: PTH108 - a device process has no use for pathlib
        self._socket.close()


class AdoptedListener(Listener):
    """A socket that another process listens on at `path`, whose `identity` it has told.

    Takes the descriptor over, whether or not it succeeds. Raises `PeerError` for another kind.
    """

    def __init__(self, path: str, descriptor: OwnedDescriptor, identity: tuple[int, int]) -> None:
        self._path = path
        self._is_ours = True
        self.identity = identity
        self._socket = adopt_socket(descriptor)
        if not self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            self._socket.close()
            raise PeerError("a socket that does not listen")


class Door:
    """Calls `let_in` with each connection to a listener, while it is open; made, it is shut.

    Where there is no room for another it rests a moment, and they wait.
    """

    def __init__(
        self, loop: Loop, listener: Listener, let_in: Callable[[socket.socket], None]
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._let_in = let_in
        self._resting: Timer | None = None

    def open(self) -> None:
        """Let in who waits, and who comes."""
        self.shut()
        self._loop.watch(self._listener.fileno(), READ, self._knocked)

    def shut(self) -> None:
        """Let in nobody: they wait."""
        self._loop.unwatch(self._listener.fileno())
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def _knocked(self) -> None:
        try:
            connection = self._listener.accept()
        except OSError:
            self.shut()
            self._resting = self._loop.call_later(REST_SECONDS, self.open)
            return
        if connection is not None:
            self._let_in(connection)


def adopt_socket(descriptor: OwnedDescriptor) -> socket.socket:
    """Return the Unix stream socket that a descriptor is. Raises `PeerError` if it is none."""
    try:
        adopted = socket.socket(fileno=descriptor.fileno())
    except OSError as error:
        descriptor.close()
        raise PeerError(f"no socket: {error}") from error
    descriptor.release()
    if (adopted.family, adopted.type) != (socket.AF_UNIX, socket.SOCK_STREAM):
        adopted.close()
        raise PeerError("a socket of another kind")
    return adopted


def _new_socket() -> socket.socket:
    kind = socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    return socket.socket(socket.AF_UNIX, kind)


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _check_free(path: str) -> None:
    """Raise `UsageError` unless `path` is missing, or a socket on which nobody listens."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UsageError(f"cannot listen on {path}: there is something that is not a socket")
    with _new_socket() as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return
        except BlockingIOError:
            pass  # somebody listens, and has much to do
    raise UsageError(f"cannot listen on {path}: somebody does already")
