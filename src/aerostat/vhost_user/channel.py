"""The channel on which a back-end asks something of its front-end, sans-I/O.

Implements "Back-end message types" of QEMU's "Vhost-user Protocol" for the front-end: a new
configuration is heard of, anything else is refused. Touches no socket; it only closes descriptors
that come along. Standard library only.
"""

from collections.abc import Iterable

from aerostat.vhost_user import messages
from aerostat.vhost_user.framing import Incoming
from aerostat.vhost_user.messages import BackendRequest


class Channel:
    """The front-end's end of a back-end's channel."""

    def __init__(self) -> None:
        self._incoming = Incoming()
        self._output = bytearray()

    def bytes_desired(self) -> int:
        """Return how many bytes may be read now without reading into the next message."""
        return self._incoming.bytes_desired()

    def receive(self, data: bytes, descriptors: Iterable[int] = ()) -> bool:
        """Take bytes; return whether they say that the configuration has changed.

        Descriptors are owned here from now on, and closed. Raises `ConversationError` when the
        framing is lost.
        """
        self._incoming.receive(data, descriptors)
        changed = False
        while (message := self._incoming.next_message()) is not None:
            header, payload = message
            self._incoming.drop_descriptors()
            known = header.request == BackendRequest.CONFIG_CHANGE_MSG and not payload
            changed |= known
            if header.flags & messages.FLAG_NEED_REPLY:
                # At once, not when the configuration was read: a back-end that waits for this
                # answer may not answer us until it has it.
                status = messages.encode_u64(0 if known else 1)
                self._output += messages.encode(header.request, status, flags=messages.FLAG_REPLY)
        return changed

    def data_to_send(self) -> bytes:
        """Return the answers, once."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def close(self) -> None:
        """Close every descriptor that came along."""
        self._incoming.broken("closed")
