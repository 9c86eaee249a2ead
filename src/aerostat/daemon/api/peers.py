"""Who is at the other end of the API's socket, what they may do, and how many may come.

The kernel says who connected (`unix(7)`, SO_PEERCRED); nobody can pretend to be another. Touches
accepted sockets, and the group database once.
"""

import asyncio
import grp
import os
import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

from aerostat.errors import UsageError

# Python has no name for it: the peer's supplementary groups, since Linux 4.13 (socket(7)).
_SO_PEERGROUPS = 59
_CREDENTIALS = struct.Struct("=iII")
_MOST_GROUPS = 256  # Python takes no longer answers; few users are in more than a dozen

# Descriptors that those who only read take must not be missing for guests and for operators.
MOST_CONNECTIONS = 128
MOST_OF_A_READER = 24
# One call of the command line lasts milliseconds. Whoever reads an answer this slowly, or says
# nothing for so long, makes room for others.
CONNECTION_LIMIT = 30.0
# Who is turned away may take so long to read why; of so many at once.
_REFUSAL_LIMIT = 1.0
_MOST_REFUSED = 32

_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
)
_FULL = b'{"schema":1,"error":"too many connections at once; try again, and close those you have"}'


class Peer(NamedTuple):
    """The process that connected, as it was at that moment."""

    pid: int
    uid: int
    groups: frozenset[int]
    """Its own group and its supplementary ones."""


def peer_of(sock: socket.socket) -> Peer:
    """Return who connected to an accepted socket. Raises `OSError`."""
    values = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(values)
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MOST_GROUPS)
    except OSError:  # an older kernel, or more groups than that: its own group has to do
        raw = b""
    return Peer(pid, uid, frozenset({gid, *memoryview(raw).cast("I")}))


class Rights(NamedTuple):
    """Who may change things: root, the manager's own user, and the members of a group if named."""

    uids: frozenset[int]
    group: int | None = None

    @classmethod
    def of_group(cls, name: str | None) -> "Rights":
        """Return the rights where members of the group `name` may change things too.

        Raises `UsageError` where there is no such group.
        """
        uids = frozenset({0, os.geteuid()})
        if name is None:
            return cls(uids)
        try:
            return cls(uids, grp.getgrnam(name).gr_gid)
        except KeyError as error:
            raise UsageError(f"[api] group: there is no group {name!r} here") from error

    def may_change(self, peer: Peer) -> bool:
        """Say whether `peer` may change things, or only look."""
        return peer.uid in self.uids or self.group in peer.groups


class Door:
    """Lets connections in: so many in all, fewer from one user who may only look.

    `server` makes the protocol of one connection. Each of them ends after `limit` seconds.
    """

    def __init__(
        self, server: Callable[[], asyncio.Protocol], rights: Rights, limit: float
    ) -> None:
        self._server = server
        self._rights = rights
        self._limit = limit
        self._inside: dict[asyncio.Transport, int] = {}
        self._refused: set[asyncio.Transport] = set()

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of one that knocks."""
        return _Knock(self)

    def open_for(self, transport: asyncio.Transport) -> asyncio.Protocol | None:
        """Return the protocol of a new connection, None where there is no room for it."""
        self._inside = {t: uid for t, uid in self._inside.items() if not t.is_closing()}
        peer = peer_of(transport.get_extra_info("socket"))
        of_theirs = sum(uid == peer.uid for uid in self._inside.values())
        if len(self._inside) >= MOST_CONNECTIONS:
            return None
        if of_theirs >= MOST_OF_A_READER and not self._rights.may_change(peer):
            return None
        self._inside[transport] = peer.uid
        # Aborted, not closed: closing would wait for the reader that does not read.
        asyncio.get_running_loop().call_later(self._limit, transport.abort)
        return self._server()

    def refuse(self, transport: asyncio.Transport) -> None:
        """Say why a connection is not let in, and end it."""
        self._refused = {each for each in self._refused if not each.is_closing()}
        if len(self._refused) >= _MOST_REFUSED:
            transport.abort()
            return
        self._refused.add(transport)
        # Closed with a request unread, it would be reset, and nobody would learn why.
        transport.write(_REFUSAL % (len(_FULL), _FULL))
        transport.write_eof()
        asyncio.get_running_loop().call_later(_REFUSAL_LIMIT, transport.abort)


class _Knock(asyncio.Protocol):
    """The first moment of a connection: it is handed on, or told that there is no room."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the connection on."""
        assert isinstance(transport, asyncio.Transport)
        try:
            protocol = self._door.open_for(transport)
        except OSError:  # gone again
            transport.abort()
            return
        if protocol is None:
            self._door.refuse(transport)
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
