"""The state document: all that a device process knows, for the one that goes on in its place.

One JSON object of `FORMAT` and `VERSION`; what `DOCUMENT` describes and nothing else. It comes
from another process, so it is checked whole before any of it is believed: types and ranges here,
how things fit together where they are restored. The descriptors that belong to it have names, see
`aerostat.device.handover`. Touches nothing; standard library only.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

from aerostat.balloon.abi import QueueRule
from aerostat.balloon.hinting import MAX_RANGES, Round
from aerostat.balloon.statistics import MAX_ENTRIES
from aerostat.device.block_reads import Counter
from aerostat.errors import PeerError
from aerostat.vhost_user.messages import MAX_PAYLOAD, MAX_SLOTS

FORMAT = "aerostat-device"

#: A successor reads the documents of all versions up to its own.
VERSION = 2

#: In bytes. Where the host's pages are huge, most of it is which parts of them are in the balloon.
MAX_SIZE = 64 << 20

# Of a name, a path, the digits of a huge page of 1 GiB.
_MAX_TEXT = 4096
_MAX_DIGITS = 1 << 16
_MAX_BLOCKS = 1 << 20
_MAX_COUNTERS = 1000
_MAX_RINGS = 64
_MAX_REAL = 1 << 53


class Number(NamedTuple):
    """A whole number from `low` to `high`."""

    low: int
    high: int


class Real(NamedTuple):
    """A number from 0 on that a float can hold, and seconds can be."""


class Text(NamedTuple):
    """A string of at most so many characters, of these `letters` if there are any."""

    most: int = _MAX_TEXT
    letters: str = ""


class Choice(NamedTuple):
    """One of these strings."""

    strings: tuple[str, ...]


class Maybe(NamedTuple):
    """Something of this shape, or null."""

    shape: Any


class Many(NamedTuple):
    """A list of at most `most` of this shape."""

    shape: Any
    most: int


class Table(NamedTuple):
    """An object with at most `most` members of this shape, whatever their names."""

    shape: Any
    most: int


# Beside these, `bool` is a shape, a tuple is a list of exactly these, and a dict an object.

_U8, _U16, _U32, _U64 = (Number(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
_HEX = "0123456789abcdef"
_STATISTICS = Many((_U16, _U64), MAX_ENTRIES)
_COUNTERS = Table(Number(0, 1 << 80), _MAX_COUNTERS)

_RING = {
    "enabled": bool,
    "started": bool,
    "size": _U16,
    "base": _U32,
    "byteorder": Choice(("little", "big")),
    "addresses": Maybe((_U32, _U32, _U64, _U64, _U64, _U64)),
}

_CONVERSATION = {
    "protocol_features": _U64,
    "setup": {
        "features": _U64,
        "features_refused": bool,
        "status": _U8,
        "needs_reset": bool,
        "rings": Many(_RING, _MAX_RINGS),
    },
    "incoming": {
        "header": Maybe((_U32, _U32, _U32)),
        "input": Text(2 * MAX_PAYLOAD, _HEX),
    },
}

_DEVICE = {
    "negotiated": _U64,
    "byteorder": Choice(("little", "big")),
    "config": {
        "num_pages": _U32,
        "cmd_id": _U32,
        "actual": _U32,
        "raw_actual": _U32,
        "poison_val": _U32,
    },
    "hinting": {
        "round": Choice(tuple(state.value for state in Round)),
        "id": _U32,
        "next_id": Number(2, 0xFFFFFFFF),
        "said": Maybe(_U32),
        "complete": bool,
        "ranges": Many((_U64, _U64), MAX_RANGES),
    },
    "statistics_seen": bool,
    "latest": _STATISTICS,
    "put_back": _STATISTICS,
    "counters": _COUNTERS,
}

DOCUMENT = {
    "format": Choice((FORMAT,)),
    "version": Number(1, VERSION),
    "options": {
        "socket": Text(),
        "control": Text(),
        "size": Maybe(Number(1, 1 << 62)),
        "name": Maybe(Text()),
        "once": bool,
        "features": _U64,
        "queues": Maybe(Choice(get_args(QueueRule))),
        "discards_hints": bool,
        "descriptor_store": bool,
        "block_reads": Maybe(Choice(get_args(Counter))),
    },
    "listeners": {"socket": (_U64, _U64), "control": (_U64, _U64)},
    "device": _DEVICE,
    "guest": {
        "wanted_size": Maybe(Number(0, 1 << 64)),
        "interval": _U32,
        "sample": Maybe((_STATISTICS, Real(), Real())),
        "hint_left": Maybe(Real()),
        "counters": _COUNTERS,
    },
    "link": Maybe(
        {
            "conversation": _CONVERSATION,
            "unsent": Text(1 << 18, _HEX),
            "announcement_due": bool,
            "expects_driver": bool,
            "memory": Maybe(Many((_U64, _U64, _U64, _U64), MAX_SLOTS)),
            "unfinished": Number(0, MAX_SLOTS),
            "blocks": Many(Maybe(Many((_U64, Text(_MAX_DIGITS, _HEX)), _MAX_BLOCKS)), MAX_SLOTS),
        }
    ),
    "descriptors": Many(Text(32), 250),
}


def encode(document: Mapping[str, Any]) -> bytes:
    """Return a document as bytes."""
    stamped = {"format": FORMAT, "version": VERSION, **document}
    return json.dumps(stamped, separators=(",", ":")).encode()


def decode(data: bytes) -> dict[str, Any]:
    """Return a document of which all is as it should be. Raises `PeerError`."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PeerError(f"state document: no JSON: {error}") from error
    version = document.get("version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise PeerError(f"state document: version {version}, and {VERSION} is all that is known")
    if type(version) is int and version == 1:
        document = _from_version_1(document)
    _check(document, DOCUMENT, "state document")
    checked: dict[str, Any] = document
    return checked


def _from_version_1(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document of version 1, not yet checked, as it would be written now."""
    options = document.get("options")
    if isinstance(options, dict):
        options = {**options, "block_reads": None}
    return {**document, "version": 2, "options": options}


def _check(value: Any, shape: Any, where: str) -> None:
    if isinstance(shape, Maybe):
        if value is not None:
            _check(value, shape.shape, where)
    elif isinstance(shape, Many | Table):
        kind = list if isinstance(shape, Many) else dict
        _expect(isinstance(value, kind) and len(value) <= shape.most, where)
        for item in value if isinstance(value, list) else value.values():
            _check(item, shape.shape, where)
    elif isinstance(shape, dict):
        _expect(isinstance(value, dict) and value.keys() == shape.keys(), where)
        for name, inner in shape.items():
            _check(value[name], inner, f"{where}: {name}")
    elif isinstance(shape, Number | Real | Text | Choice) or shape is bool:
        _expect(_is(value, shape), where)
    else:
        _expect(isinstance(value, list) and len(value) == len(shape), where)
        for item, inner in zip(value, shape, strict=True):
            _check(item, inner, where)


def _is(value: Any, shape: Any) -> bool:
    """Return whether a single value is of its shape."""
    if shape is bool:
        return isinstance(value, bool)
    if isinstance(shape, Number):
        return type(value) is int and shape.low <= value <= shape.high
    if isinstance(shape, Real):
        return type(value) in {int, float} and 0 <= value <= _MAX_REAL
    if isinstance(shape, Choice):
        return value in shape.strings
    fits = isinstance(value, str) and len(value) <= shape.most
    return fits and (not shape.letters or set(value) <= set(shape.letters))


def _expect(kept: bool, where: str) -> None:  # noqa: FBT001 - private
    if not kept:
        raise PeerError(f"{where}: not what it should be")
