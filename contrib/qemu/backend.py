"""A vhost-user back-end that says just enough to be a balloon's, and never serves a queue.

Needs the standard library alone. Implements what QEMU asks of a back-end until its device is ready
("Vhost-user Protocol", Front-end message types). Touches one socket.
"""

import contextlib
import os
import socket
import struct
import threading
import time

from programs import TIMEOUT, CannotTryError

#: Seconds between attempts to connect.
_PAUSE = 0.02

# Messages: request, flags, size of the payload.
HEADER = struct.Struct("=III")
VERSION, REPLY, NEED_REPLY = 1, 4, 8
GET_FEATURES, GET_VRING_BASE, GET_PROTOCOL_FEATURES, GET_QUEUE_NUM = 1, 11, 15, 17
SET_BACKEND_REQ_FD, GET_CONFIG = 21, 24
CONFIG_CHANGE = 2

_QUEUES = 5
_FEATURES = 1 << 32 | 1 << 30  # VIRTIO_F_VERSION_1, VHOST_USER_F_PROTOCOL_FEATURES
_PROTOCOL_FEATURES = 1 << 0 | 1 << 3 | 1 << 5 | 1 << 9  # MQ, REPLY_ACK, BACKEND_REQ, CONFIG

# Requests that are answered with a number.
_NUMBERS = {
    GET_FEATURES: _FEATURES,
    GET_PROTOCOL_FEATURES: _PROTOCOL_FEATURES,
    GET_QUEUE_NUM: _QUEUES,
}


class Backend:
    """A back-end that connects to the front-end's socket at `path`, and may do so again."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._channel: socket.socket | None = None
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def connect(self) -> None:
        """Connect, as soon as the front-end listens, and answer from now on."""
        self._connection = connect(self._path)
        threading.Thread(target=self._serve, args=[self._connection], daemon=True).start()

    def hang_up(self) -> None:
        """End the conversation, as a back-end that dies does."""
        self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def announce_change(self) -> None:
        """Say that the configuration has changed, and wait until that was taken note of."""
        if self._channel is None:
            raise CannotTryError("this device lets its back-end announce nothing")
        self._channel.settimeout(TIMEOUT)
        self._channel.sendall(HEADER.pack(CONFIG_CHANGE, VERSION | NEED_REPLY, 0))
        if not self._channel.recv(HEADER.size + 8, socket.MSG_WAITALL):
            raise EOFError

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while self._answer(connection):
                pass

    def _answer(self, connection: socket.socket) -> bool:
        """Answer a request; false where there is none any more."""
        data, files, _, _ = socket.recv_fds(connection, HEADER.size, 16)
        if len(data) < HEADER.size:
            return False
        request, flags, size = HEADER.unpack(data)
        payload = connection.recv(size, socket.MSG_WAITALL) if size else b""
        if request == SET_BACKEND_REQ_FD:
            self._channel = socket.socket(fileno=files.pop())
        for file in files:
            os.close(file)
        reply = _reply(request, payload)
        if reply is None and flags & NEED_REPLY:
            reply = bytes(8)
        if reply is not None:
            connection.sendall(HEADER.pack(request, VERSION | REPLY, len(reply)) + reply)
        return True


def _reply(request: int, payload: bytes) -> bytes | None:
    """Return the reply to a request that has one of its own."""
    if request in _NUMBERS:
        return struct.pack("=Q", _NUMBERS[request])
    # The configuration is what it was asked with, all zeros, and the ring's index what it was.
    return payload if request in (GET_CONFIG, GET_VRING_BASE) else None


def connect(path: str) -> socket.socket:
    """Connect to a socket that may still have to come."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            time.sleep(_PAUSE)
        else:
            return connection
    raise CannotTryError(f"nobody listens at {path}")
