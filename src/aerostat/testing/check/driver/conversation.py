"""What a front-end said, in its own order: an ear at the socket, beside the device's own.

Touches the connection that it listens to, and changes nothing in it. The device answers; this
writes down what a driver can be judged by: features, status (virtio 1.2, 2.1), configuration
accesses (2.5), and when rings were described and enabled.
"""

import socket
from typing import NamedTuple

from aerostat.errors import PeerError
from aerostat.vhost_user import messages
from aerostat.vhost_user.framing import Incoming
from aerostat.vhost_user.messages import ConfigPart, Request, RingAddresses, RingState

_PROTOCOL_BIT = 1 << messages.F_PROTOCOL_FEATURES


class ConfigAccess(NamedTuple):
    """One read or write of the configuration space; `when` counts messages."""

    when: int
    at: range
    written: bool


class Conversation:
    """What was said on one connection so far.

    `messages` counts; moments are counts of it. `features` are the driver's choices, each with
    its moment, without vhost-user's own bit; `status` are the writes of the device status.
    """

    def __init__(self) -> None:
        self.messages = 0
        self.features: list[tuple[int, int]] = []
        self.status: list[tuple[int, int]] = []
        self.config: list[ConfigAccess] = []
        self.addresses: dict[int, RingAddresses] = {}
        self.sizes: dict[int, int] = {}
        self.enabled: dict[int, int] = {}
        self.described: int | None = None
        self._incoming: Incoming | None = Incoming()

    def hear(self, data: bytes) -> None:
        """Take bytes that the front-end sent. Broken framing ends the listening, not the device."""
        if self._incoming is None:
            return
        try:
            self._incoming.receive(data, ())
            while (message := self._incoming.next_message()) is not None:
                self._note(message[0].request, message[1])
        except PeerError:
            self._incoming = None

    def _note(self, request: int, payload: bytes) -> None:
        self.messages += 1
        now = self.messages
        match request:
            case Request.SET_FEATURES:
                self.features.append((now, messages.decode_u64(payload) & ~_PROTOCOL_BIT))
            case Request.SET_STATUS:
                self.status.append((now, messages.decode_u64(payload)))
            case Request.GET_CONFIG | Request.SET_CONFIG:
                part = ConfigPart.decode(payload)
                touched = range(part.offset, part.offset + len(part.data))
                self.config.append(ConfigAccess(now, touched, request == Request.SET_CONFIG))
            case Request.SET_VRING_ADDR:
                addresses = RingAddresses.decode(payload)
                self.addresses[addresses.ring] = addresses
                self.described = self.described or now
            case Request.SET_VRING_NUM:
                ring, size = RingState.decode(payload)
                self.sizes[ring] = size
            case Request.SET_VRING_ENABLE:
                ring, value = RingState.decode(payload)
                if value:
                    self.enabled.setdefault(ring, now)


class TappedSocket(socket.socket):
    """A connection whose incoming bytes a `Conversation` hears, too. Takes `connection` over."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(fileno=connection.detach())
        self.conversation = Conversation()

    def recvmsg(
        self, size: int, ancillary: int = 0, flags: int = 0
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, object]:
        """Receive as a socket does, and let it be heard."""
        answer = super().recvmsg(size, ancillary, flags)
        self.conversation.hear(answer[0])
        return answer
