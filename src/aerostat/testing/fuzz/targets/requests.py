"""vhost-user requests as a front-end may send them that means harm, or is confused. Pure."""

from typing import NamedTuple

from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.targets.yard import USER_BASE
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import (
    ConfigPart,
    RegionDescription,
    Request,
    RingAddresses,
    RingState,
)

REQUESTS = tuple(Request)

_RING_STATES = {
    Request.SET_VRING_NUM,
    Request.SET_VRING_BASE,
    Request.GET_VRING_BASE,
    Request.SET_VRING_ENABLE,
    Request.SET_VRING_ENDIAN,
}
_DESCRIPTORS = {Request.SET_VRING_KICK, Request.SET_VRING_CALL, Request.SET_VRING_ERR}
_REGIONS = {Request.ADD_MEM_REG, Request.REM_MEM_REG}
_CONFIG = {Request.GET_CONFIG, Request.SET_CONFIG}
_BRINGING = _DESCRIPTORS | {Request.ADD_MEM_REG, Request.SET_BACKEND_REQ_FD}

PAGE = 4096


class Said(NamedTuple):
    """One message, and how many descriptors come along; `framed`: it has the size that it says."""

    request: int
    data: bytes
    descriptors: int
    framed: bool


def say(source: Source, features: int) -> Said:
    """Return one request: mostly a sound one. `features` are those that a driver may choose."""
    request: int = source.choose(REQUESTS)
    payload, descriptors = _payload(source, request, features)
    kind = source.byte()
    if kind >= 0xE0:
        payload, descriptors, request = _spoil(source, payload, descriptors, request)
    flags = messages.FLAG_NEED_REPLY if source.chance(50) else 0
    if kind >= 0xFA:
        flags = source.number(32)
    header = messages.Header(request, (messages.VERSION | flags) & 0xFFFFFFFF, len(payload))
    if kind >= 0xFD:
        header = header._replace(size=source.number(32))
    data = b"".join(part.to_bytes(4, "little") for part in header) + payload
    return Said(request, data, descriptors, header.size == len(payload))


def _spoil(
    source: Source, payload: bytes, descriptors: int, request: int
) -> tuple[bytes, int, int]:
    match source.below(5):
        case 0:
            return payload[: source.below(len(payload) + 1)], descriptors, request
        case 1:
            return payload + source.blob(64), descriptors, request
        case 2:
            return payload, source.choose((0, 1, 2, 8, 32, 33)), request
        case 3:
            return payload, descriptors, source.number(32)
        case _:
            return source.blob(300), descriptors, request


def _payload(source: Source, request: int, features: int) -> tuple[bytes, int]:
    if request in _RING_STATES | _DESCRIPTORS:
        return _of_ring(source, request)
    if request in _REGIONS:
        return messages.encode_region(region(source)), int(request in _BRINGING)
    if request in _CONFIG:
        return ConfigPart(source.near(4, 32), source.number(32), source.blob(20)).encode(), 0
    if request == Request.SET_MEM_TABLE:
        table = tuple(region(source) for _ in range(source.below(4) + 1))
        return messages.encode_memory_table(table), len(table)
    if request == Request.SET_VRING_ADDR:
        return _addresses(source).encode(), 0
    return _plain(source, request, features), int(request in _BRINGING)


def _of_ring(source: Source, request: int) -> tuple[bytes, int]:
    if request in _RING_STATES:
        return RingState(source.near(source.below(5), 32), _value(source, request)).encode(), 0
    none = messages.RING_NO_DESCRIPTOR if source.chance(15) else 0
    return messages.encode_u64(source.near(source.below(5), 64) | none), int(not none)


def _addresses(source: Source) -> RingAddresses:
    desc, used, avail = (USER_BASE + source.near(source.below(8) << 12, 47) for _ in range(3))
    return RingAddresses(source.below(6), source.number(32), desc, used, avail, 0)


def _value(source: Source, request: int) -> int:
    usual = {Request.SET_VRING_NUM: 1 << source.below(9), Request.SET_VRING_ENABLE: 1}
    return source.near(usual.get(Request(request), 0), 32)


def _plain(source: Source, request: int, features: int) -> bytes:
    match request:
        case Request.SET_FEATURES:
            chosen = features & ~(1 << source.below(64)) if source.chance(60) else features
            return messages.encode_u64(source.near(chosen, 64))
        case Request.SET_PROTOCOL_FEATURES:
            return messages.encode_u64(source.near(0x1_A269, 64))
        case Request.SET_STATUS:
            return messages.encode_u64(source.choose((1, 3, 11, 15, 0, 128, 256)))
        case _:
            return b""


def region(source: Source) -> RegionDescription:
    """Return one of the regions that there might be, or one that cannot be."""
    guest = source.choose((0, 8, 16, 24)) * PAGE
    size = source.choose((8, 4, 1)) * PAGE
    sound = RegionDescription(guest, size, USER_BASE + guest, guest)
    if source.chance(85):
        return sound
    field = source.choose(RegionDescription._fields)
    return sound._replace(**{field: source.number(64)})
