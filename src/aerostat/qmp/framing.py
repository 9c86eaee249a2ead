"""JSON objects over a byte stream (QMP specification, "General definitions" and "Protocol").

QMP has no framing but JSON itself: a message ends where its outermost brace closes. Servers write
one message a line (but for QEMU's ``pretty=on``, made for eyes); clients are free to use many
lines or none. Pure, standard library only.
"""

import json
import math
import re
from typing import Any, NamedTuple

from aerostat.errors import PeerError

# Of what clients send: deep enough for any command; shallow enough that echoing an id, which
# recurses, cannot exhaust the stack. (QEMU allows 1024.)
MAX_DEPTH = 64

_WHITESPACE = b" \t\r\n"
_SPACE = re.compile(rb"[ \t\r\n]*")
_STRUCTURE = re.compile(rb'["{}\[\]]')
_STRING_MARK = re.compile(rb'["\\\n]')
_JUNK_END = re.compile(rb"[{\[\n]")


class Malformed(NamedTuple):
    """A message that could not be read; what follows it can."""

    description: str


class OversizeError(PeerError):
    """A message exceeds the size limit; there is no telling where the next one begins."""


_TOO_DEEP = Malformed("JSON nesting depth limit exceeded")


class LineFramer:
    """Cut a byte stream of one message a line, as servers send, into decoded objects.

    How much is buffered is for the caller to bound. Cheap whatever the bytes: finding the line
    and decoding it are both done by C.
    """

    __slots__ = ("_buffer", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # how far there is no end of a line

    def feed(self, data: bytes) -> None:
        """Add bytes that have arrived."""
        self._buffer += data

    def next_message(self) -> dict[str, Any] | Malformed | None:
        """Return the next message, or None until there is a whole one."""
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return decode(line)


class Framer:
    """Cut the byte stream of a client into decoded objects, wherever its lines end.

    `feed` takes bytes as they come, `next_message` gives one decoded object at a time,
    `Malformed` in place of one that cannot be read, or None when more bytes are needed. How
    the stream was cut into pieces makes no difference to the messages.
    """

    __slots__ = ("_buffer", "_deepest", "_depth", "_in_string", "_limit", "_position")

    def __init__(self, limit: int) -> None:
        self._limit = limit  # bytes in one message
        self._buffer = bytearray()
        self._restart()

    def _restart(self) -> None:
        """Begin a message at the front of the buffer."""
        self._position = 0  # how much of the buffer has been scanned
        self._depth = 0
        self._deepest = 0
        self._in_string = False

    def feed(self, data: bytes) -> None:
        """Add bytes that have arrived."""
        self._buffer += data

    def next_message(self) -> dict[str, Any] | Malformed | None:
        """Return the next message, or None until there is a whole one.

        Raises `OversizeError`; the stream is then of no further use.
        """
        if self._position == 0 and not self._skip_space():
            return None
        end = self._scan_junk() if self._buffer[0] not in b"{[" else self._scan_value()
        if (len(self._buffer) if end is None else end) > self._limit:
            raise OversizeError(f"a message exceeds {self._limit} bytes")
        if end is None:
            return None
        raw = bytes(self._buffer[:end])
        broken, deepest = self._in_string, self._deepest
        del self._buffer[:end]
        self._restart()
        if deepest > MAX_DEPTH:
            return _TOO_DEEP
        if broken:
            return Malformed("JSON parse error, line break in a string")
        return decode(raw, _STRICT)

    def _skip_space(self) -> bool:
        """Drop leading white space; tell whether anything is left."""
        buffer = self._buffer
        if buffer and buffer[0] in _WHITESPACE:
            match = _SPACE.match(buffer)
            del buffer[: match.end() if match else 0]
        return bool(buffer)

    def _scan_junk(self) -> int | None:
        """Return where bytes that begin no object end: at a line's end or the next bracket."""
        if self._buffer[0] in b"}]":
            return 1
        match = _JUNK_END.search(self._buffer, self._position)
        self._position = len(self._buffer)
        return match.start() if match else None

    def _scan_value(self) -> int | None:
        """Return where the value at the front ends, or None while it is incomplete."""
        buffer = self._buffer
        position = self._position
        while True:
            pattern = _STRING_MARK if self._in_string else _STRUCTURE
            match = pattern.search(buffer, position)
            if match is None:
                self._position = len(buffer)
                return None
            mark = buffer[match.start()]
            position = match.end()
            if mark == ord("\\"):
                if position == len(buffer):
                    self._position = match.start()  # what it escapes has not arrived
                    return None
                position += 1
            elif mark == ord("\n"):
                return position  # a string must not contain one: give the message up here
            elif mark == ord('"'):
                self._in_string = not self._in_string
            elif mark in b"{[":
                self._depth += 1
                self._deepest = max(self._deepest, self._depth)
            else:
                self._depth -= 1
                if self._depth == 0:
                    return position


def _reject_constant(name: str) -> float:
    raise ValueError(f"invalid keyword '{name}'")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"number out of range: {text[:20]}")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key")
    return members


# What asks us is held to every rule; what answers us is only read, and reading it is kept cheap.
_STRICT = json.JSONDecoder(
    parse_constant=_reject_constant, parse_float=_finite, object_pairs_hook=_unique
)
_PLAIN = json.JSONDecoder(parse_constant=_reject_constant)
_ENCODER = json.JSONEncoder(separators=(", ", ": "), allow_nan=False)


def decode(raw: bytes, decoder: json.JSONDecoder = _PLAIN) -> dict[str, Any] | Malformed:
    """Decode one JSON object in UTF-8."""
    try:
        message = decoder.decode(raw.decode())
    except ValueError as error:  # of the text, of its encoding, or a number of too many digits
        return Malformed(f"JSON parse error, {error}")
    except RecursionError:
        return _TOO_DEEP
    if not isinstance(message, dict):
        return Malformed("QMP input must be a JSON object")
    return message


def encode(message: dict[str, Any]) -> bytes:
    """Encode a message as QEMU sends it: one line of ASCII, ended by CR and LF."""
    return _ENCODER.encode(message).encode() + b"\r\n"
