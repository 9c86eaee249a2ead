"""Listening on a Unix socket that only its owner may use, and taking it away again.

Touches the file system at the path it is given; standard library only.
"""

import contextlib
import os
import socket
import stat

from aerostat.errors import UsageError

# Connections that wait to be accepted; more are refused by the kernel.
BACKLOG = 16


def listen(path: str) -> socket.socket:
    """Return a non-blocking socket that listens at `path`, mode 0600.

    A socket that was left there is replaced if nobody listens on it. Raises `UsageError` where
    somebody does, where the path is something else, or where it cannot be used.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        _remove_stale(path)
        # The mode is right from the first moment: a chmod afterwards would come too late.
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - that is its signature
    except OSError as error:
        listener.close()
        raise UsageError(f"cannot listen on {path}: {error.strerror or error}") from error
    except UsageError:
        listener.close()
        raise
    return listener


def remove(listener: socket.socket) -> None:
    """Stop listening and remove the socket from the file system, if it is still ours."""
    path = listener.getsockname()
    # The kernel names the inode of a bound socket nowhere we can compare with, so look whether
    # somebody took the path over: then connecting works although we have stopped listening.
    listener.close()
    with contextlib.suppress(OSError, UsageError):
        _remove_stale(path)


def _remove_stale(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UsageError(f"cannot listen on {path}: there is something that is not a socket")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    # A listener whose backlog is full must not hold us up.
    probe.setblocking(False)  # noqa: FBT003 - that is its signature
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)  # noqa: PTH108 - pathlib is not otherwise needed in a device process
    except BlockingIOError:
        raise UsageError(f"cannot listen on {path}: somebody does already") from None
    else:
        raise UsageError(f"cannot listen on {path}: somebody does already")
    finally:
        probe.close()
