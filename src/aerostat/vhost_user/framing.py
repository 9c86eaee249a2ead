"""Cutting a byte stream into vhost-user messages, each with the descriptors that came with it.

Implements "Header" of QEMU's "Vhost-user Protocol" for requests as for replies, and the bounds
that keep a hostile peer's numbers small. Touches no socket; it owns the descriptors it is given
until somebody takes them. Standard library only.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from aerostat.errors import PeerError
from aerostat.vhost_user import messages
from aerostat.vhost_user.descriptors import OwnedDescriptor


class ConversationError(PeerError):
    """The connection is of no further use: what follows cannot be told apart, or answered."""


class Incoming:
    """Requests on their way in; with `replies`, replies and nothing else."""

    def __init__(self, *, replies: bool = False) -> None:
        self._replies = replies
        self.descriptors: list[OwnedDescriptor] = []
        self._input = bytearray()
        self._header: messages.Header | None = None
        self._broken: str | None = None

    def bytes_desired(self) -> int:
        """Return how many bytes may be read now without reading into the next message.

        Descriptors arrive beside bytes; reading no further than this keeps each with its message.
        """
        due = messages.HEADER_SIZE if self._header is None else self._header.size
        return max(due - len(self._input), 1)

    @property
    def within_message(self) -> bool:
        """Whether a message has begun and its end has not come."""
        return self._header is not None or bool(self._input)

    def receive(self, data: bytes, descriptors: Iterable[int]) -> None:
        """Take bytes and the descriptors that came with them; `ConversationError` at a flood."""
        self._input += data
        self.descriptors += map(OwnedDescriptor, descriptors)
        if len(self.descriptors) > messages.MAX_DESCRIPTORS:
            # A flood would otherwise use up this process's table of descriptors.
            raise self.broken(f"{len(self.descriptors)} descriptors with one message")

    def next_message(self) -> tuple[messages.Header, bytes] | None:
        """Return the next whole message, or None; `ConversationError` when the framing is lost.

        Its descriptors are in `descriptors`; take them, or drop them before the next message.
        """
        if self._broken is not None:
            raise ConversationError(self._broken)
        if self._header is None:
            if len(self._input) < messages.HEADER_SIZE:
                return None
            self._header = messages.Header.decode(self._take(messages.HEADER_SIZE))
            self._check(self._header)
        header = self._header
        if len(self._input) < header.size:
            return None
        self._header = None
        return header, self._take(header.size)

    def broken(self, reason: str) -> ConversationError:
        """Give the stream up; return the exception that says so, now and at every later call."""
        self._broken = reason
        self.drop_descriptors()
        return ConversationError(reason)

    def state(self) -> dict[str, Any]:
        """Return what has come of a message that is not whole, as values that JSON has.

        But for its `descriptors`.
        """
        return {"header": self._header, "input": self._input.hex()}

    def restore(self, state: Mapping[str, Any], descriptors: Iterable[OwnedDescriptor]) -> None:
        """Go on where another was, by its `state`, and own its descriptors.

        Raises `ConversationError` for what no message begins with.
        """
        self.descriptors += descriptors
        self._input += bytes.fromhex(state["input"])
        if state["header"] is not None:
            self._header = messages.Header(*state["header"])
            self._check(self._header)

    def drop_descriptors(self) -> None:
        """Close the descriptors that nobody took."""
        for descriptor in self.descriptors:
            descriptor.close()
        self.descriptors.clear()

    def _take(self, size: int) -> bytes:
        data = bytes(self._input[:size])
        del self._input[:size]
        return data

    def _check(self, header: messages.Header) -> None:
        if header.flags & messages.VERSION_MASK != messages.VERSION:
            raise self.broken(f"version {header.flags & messages.VERSION_MASK}")
        if bool(header.flags & messages.FLAG_REPLY) != self._replies:
            due = "a reply" if self._replies else "a request"
            raise self.broken(f"{due} was due, flags {header.flags:#x} ({header.request})")
        if header.size > messages.MAX_PAYLOAD:
            raise self.broken(f"a payload of {header.size} bytes")
