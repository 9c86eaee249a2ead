"""A device process hands its guest over to another, and neither the guest nor its VMM notices.

Touches the connection between the two, which is that of a control client: who may command a
device may take it over. After the answer to ``aerostat-hand-over`` it speaks as follows.

==============  ======================================================================
successor       `GO`
predecessor     stops its rings; the state document, with all its descriptors
successor       builds everything, serves nothing; then `READY`
predecessor     `YOURS`, and touches nothing any more; or `NO`, and goes on
successor       `MINE`, and serves
predecessor     ends
==============  ======================================================================

So at each moment one of them can go on, whatever becomes of the other, and never both. The
predecessor goes on where the successor is lost before `MINE`: it has touched nothing then. Where
the predecessor dies before `YOURS`, or its `YOURS` is never heard, the successor serves: a pidfd
among the descriptors tells a death from a refusal. Standard library only.
"""

import contextlib
import os
import select
import socket
import struct
from collections.abc import Mapping
from typing import Any

from aerostat.device import document
from aerostat.device.commands import HAND_OVER
from aerostat.device.named import Descriptors
from aerostat.errors import LinkError, PeerError
from aerostat.qmp.client import ClientSession, Failure, Reply
from aerostat.vhost_user.descriptors import OwnedDescriptor

GO, READY, YOURS, NO, MINE = b"G", b"R", b"Y", b"N", b"M"

# How long one may keep the other waiting, and with it the guest; in seconds. A successor needs
# some hundredths of one to build what it has been told of.
PATIENCE = 5.0

# How long after its last word a process may take to die.
_DEATH_SECONDS = 2.0

_SIZE = struct.Struct(">I")
_PROCESS = "process"
_MOST_DESCRIPTORS = 253  # with one message (SCM_MAX_FD)
_READ_BYTES = 1 << 16


# ---- the predecessor


def offer(
    connection: socket.socket, state: Mapping[str, Any], descriptors: Mapping[str, int]
) -> bool:
    """Hand over by `connection`; return whether the successor serves from now on.

    Returns false if the caller is to go on; blocks for a few times `PATIENCE` at most, but for a
    successor that stands still where only it can tell whether it will serve. Never raises.
    """
    try:
        process = os.pidfd_open(os.getpid())
    except OSError:
        return False
    try:
        connection.settimeout(PATIENCE)
        if connection.recv(1) != GO:
            return False
        _send_state(connection, state, {**descriptors, _PROCESS: process})
        if connection.recv(1) != READY:
            return False
    except OSError:
        return False
    finally:
        os.close(process)
    return _commit(connection)


def refuse(connection: socket.socket) -> None:
    """Tell the successor, if it is there, that the predecessor goes on."""
    with contextlib.suppress(OSError):
        connection.send(NO)
    connection.close()


def _commit(connection: socket.socket) -> bool:
    try:
        connection.sendall(YOURS)
    except OSError:
        return False
    try:
        connection.settimeout(None)
        return connection.recv(1) == MINE
    except OSError:  # it is gone, and has touched nothing
        return False


def _send_state(
    connection: socket.socket, state: Mapping[str, Any], descriptors: Mapping[str, int]
) -> None:
    data = document.encode({**state, "descriptors": list(descriptors)})
    socket.send_fds(connection, [_SIZE.pack(len(data))], list(descriptors.values()))
    connection.sendall(data)


# ---- the successor


class Offer:
    """What the process at the control socket `path` offers: its `document` and `descriptors`.

    Raises `PeerError` or `LinkError` where there is none; the predecessor goes on then, as it does
    if this is closed.
    """

    def __init__(self, path: str) -> None:
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._connection.settimeout(PATIENCE)
        self.descriptors = Descriptors({})
        try:
            self._connection.connect(path)
            _command(self._connection)
            self._connection.sendall(GO)
            self.document, self.descriptors = _receive_state(self._connection)
            self._process = self.descriptors.take(_PROCESS)
        except OSError as error:
            self.close()
            raise LinkError(f"cannot take over from {path}: {error}") from error
        except BaseException:
            self.close()
            raise

    def accept(self) -> None:
        """Take over: everything is built, and may serve when this returns.

        Raises `LinkError` where the predecessor goes on.
        """
        with contextlib.suppress(OSError):  # it hung up; what it said last is there all the same
            self._connection.sendall(READY)
        try:
            answer = self._connection.recv(1)
        except TimeoutError as error:
            raise LinkError("the other process does not let go") from error
        except OSError:
            answer = b""
        if answer == YOURS:
            with contextlib.suppress(OSError):  # it died, having let go
                self._connection.sendall(MINE)
        elif answer or not self._is_dead():
            raise LinkError("the other process goes on serving")

    def close(self) -> None:
        """Hang up, and close what nobody took."""
        self._connection.close()
        self.descriptors.close()
        if hasattr(self, "_process"):
            self._process.close()

    def _is_dead(self) -> bool:
        return bool(select.select([self._process.fileno()], (), (), _DEATH_SECONDS)[0])


def _command(connection: socket.socket) -> None:
    """Give the command that makes the connection ours."""
    session = ClientSession()
    asked = False
    while True:
        if session.ready and not asked:
            session.command(HAND_OVER, {})
            asked = True
        if unsent := session.data_to_send():
            connection.sendall(unsent)
        data = connection.recv(_READ_BYTES)
        if not data:
            raise LinkError("the other process hung up")
        for message in session.receive(data):
            if isinstance(message, Failure):
                raise PeerError(f"the other process refuses: {message.description}")
            if isinstance(message, Reply):
                return


def _receive_state(connection: socket.socket) -> tuple[dict[str, Any], Descriptors]:
    """Return the document and the descriptors that come with it."""
    flags = socket.MSG_CMSG_CLOEXEC | socket.MSG_WAITALL
    data, numbers, _, _ = socket.recv_fds(connection, _SIZE.size, _MOST_DESCRIPTORS, flags)
    owned = list(map(OwnedDescriptor, numbers))
    try:
        state = _receive_document(connection, data)
        return state, Descriptors.named(state["descriptors"], owned)
    except BaseException:
        for descriptor in owned:
            descriptor.close()
        raise


def _receive_document(connection: socket.socket, head: bytes) -> dict[str, Any]:
    if len(head) < _SIZE.size:
        raise LinkError("the other process hung up")
    (size,) = _SIZE.unpack(head)
    if size > document.MAX_SIZE:
        raise PeerError(f"a state document of {size} bytes")
    return document.decode(_receive(connection, size))


def _receive(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(min(_READ_BYTES, size - len(data)))
        if not part:
            raise LinkError("the other process hung up")
        data += part
    return bytes(data)
