"""The messages of vhost-user: numbers, headers and payloads, to bytes and back.

Implements the message formats of QEMU's "Vhost-user Protocol" (docs/interop/vhost-user), the
part that a device with rings and a configuration space needs. Every field is in the machine's
own byte order, as both ends share one machine. Pure, standard library only.
"""

import enum
import struct
from typing import NamedTuple

from aerostat.errors import PeerError


class PayloadError(PeerError):
    """A payload that does not have the size or the values that its request prescribes."""


class Request(enum.IntEnum):
    """What a front-end asks of a back-end ("Front-end message types")."""

    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18
    SET_BACKEND_REQ_FD = 21
    SET_VRING_ENDIAN = 23
    GET_CONFIG = 24
    SET_CONFIG = 25
    RESET_DEVICE = 34
    GET_MAX_MEM_SLOTS = 36
    ADD_MEM_REG = 37
    REM_MEM_REG = 38
    SET_STATUS = 39
    GET_STATUS = 40


#: Requests with a reply of their own; they are never acknowledged on top of it.
REPLYING = frozenset(
    {
        Request.GET_FEATURES,
        Request.GET_PROTOCOL_FEATURES,
        Request.GET_QUEUE_NUM,
        Request.GET_VRING_BASE,
        Request.GET_CONFIG,
        Request.GET_MAX_MEM_SLOTS,
        Request.GET_STATUS,
    }
)


class BackendRequest(enum.IntEnum):
    """What a back-end asks of a front-end ("Back-end message types")."""

    CONFIG_CHANGE_MSG = 2


class ProtocolFeature(enum.IntEnum):
    """Bit numbers of the protocol features that aerostat knows."""

    MQ = 0
    REPLY_ACK = 3
    BACKEND_REQ = 5
    CROSS_ENDIAN = 6
    CONFIG = 9
    RESET_DEVICE = 13
    CONFIGURE_MEM_SLOTS = 15
    STATUS = 16


# The virtio feature bit by which vhost-user says that it has protocol features
# ("Starting and stopping rings": with it, rings wait for SET_VRING_ENABLE).
F_PROTOCOL_FEATURES = 30

VERSION = 0x1
VERSION_MASK = 0x3
FLAG_REPLY = 0x4
FLAG_NEED_REPLY = 0x8

# The longest payload that we agree to read. The longest that we understand is a configuration
# of 256 bytes (QEMU's own limit) or a table of 32 regions; more is a confused or hostile peer, and
# the bound protects our memory.
MAX_PAYLOAD = 4096
# "Memory regions description": a table that is sent at once has at most eight regions. With
# configurable slots there may be more, and some front-ends then send so many at once, too. No
# other message carries more descriptors.
MAX_REGIONS = 8
MAX_SLOTS = 32
MAX_DESCRIPTORS = MAX_SLOTS
# "Virtio device config space": its maximum size.
MAX_CONFIG_SIZE = 256

# SET_VRING_KICK, _CALL and _ERR: which ring, and whether a descriptor comes along.
RING_INDEX_MASK = 0xFF
RING_NO_DESCRIPTOR = 0x100

# SET_VRING_ENDIAN: whose byte order a legacy guest's rings are in.
RING_LITTLE_ENDIAN = 0
RING_BIG_ENDIAN = 1

_HEADER = struct.Struct("=III")
_U64 = struct.Struct("=Q")
_RING_STATE = struct.Struct("=II")
_RING_ADDRESSES = struct.Struct("=IIQQQQ")
_TABLE_HEAD = struct.Struct("=II")
_SINGLE_HEAD = struct.Struct("=Q")
_REGION = struct.Struct("=QQQQ")
_CONFIG_HEAD = struct.Struct("=III")

HEADER_SIZE = _HEADER.size
CONFIG_HEAD_SIZE = _CONFIG_HEAD.size


class Header(NamedTuple):
    """The twelve bytes before every payload; `size` is the payload's."""

    request: int
    flags: int
    size: int

    @classmethod
    def decode(cls, data: bytes) -> "Header":
        """Decode exactly `HEADER_SIZE` bytes."""
        return cls._make(_HEADER.unpack(data))


class RingState(NamedTuple):
    """A ring and a number that belongs to it: its size, its base, whether it is enabled."""

    ring: int
    value: int

    @classmethod
    def decode(cls, payload: bytes) -> "RingState":
        """Decode a "vring state description"."""
        return cls._make(_unpack(_RING_STATE, payload))

    def encode(self) -> bytes:
        """Return the payload."""
        return _RING_STATE.pack(*self)


class RingAddresses(NamedTuple):
    """Where a ring's three areas are, in addresses of the front-end's own process.

    Note the order on the wire: the used ring comes before the available ring.
    """

    ring: int
    flags: int
    descriptors: int
    used: int
    available: int
    log: int

    @classmethod
    def decode(cls, payload: bytes) -> "RingAddresses":
        """Decode a "vring address description"."""
        return cls._make(_unpack(_RING_ADDRESSES, payload))

    def encode(self) -> bytes:
        """Return the payload."""
        return _RING_ADDRESSES.pack(*self)


class RegionDescription(NamedTuple):
    """One piece of guest memory; all in bytes. `file_offset` is within the descriptor's file."""

    guest_address: int
    size: int
    user_address: int
    file_offset: int


class ConfigPart(NamedTuple):
    """Some bytes of the device's configuration space."""

    offset: int
    flags: int
    data: bytes

    @classmethod
    def decode(cls, payload: bytes) -> "ConfigPart":
        """Decode a "virtio device config space" whose size agrees with the payload's."""
        if len(payload) < CONFIG_HEAD_SIZE:
            raise PayloadError(f"a configuration message of {len(payload)} bytes")
        offset, size, flags = _CONFIG_HEAD.unpack_from(payload)
        data = payload[CONFIG_HEAD_SIZE:]
        if len(data) != size:
            raise PayloadError(f"{size} bytes of configuration announced, {len(data)} sent")
        return cls(offset, flags, data)

    def encode(self) -> bytes:
        """Return the payload."""
        return _CONFIG_HEAD.pack(self.offset, len(self.data), self.flags) + self.data


def encode(request: int, payload: bytes = b"", *, flags: int = 0) -> bytes:
    """Return a whole message; `flags` is added to the version."""
    return _HEADER.pack(request, VERSION | flags, len(payload)) + payload


def encode_u64(value: int) -> bytes:
    """Return the payload that is one number."""
    return _U64.pack(value)


def decode_u64(payload: bytes) -> int:
    """Return the number that is the whole payload."""
    value: int = _unpack(_U64, payload)[0]
    return value


def encode_memory_table(regions: tuple[RegionDescription, ...]) -> bytes:
    """Return the payload of SET_MEM_TABLE."""
    return _TABLE_HEAD.pack(len(regions), 0) + b"".join(_REGION.pack(*part) for part in regions)


def encode_region(region: RegionDescription) -> bytes:
    """Return the payload of ADD_MEM_REG and REM_MEM_REG."""
    return _SINGLE_HEAD.pack(0) + _REGION.pack(*region)


def decode_region(payload: bytes) -> RegionDescription:
    """Decode the payload of ADD_MEM_REG and REM_MEM_REG."""
    if len(payload) != _SINGLE_HEAD.size + _REGION.size:
        raise PayloadError(f"a single region in {len(payload)} bytes")
    return RegionDescription._make(_REGION.unpack_from(payload, _SINGLE_HEAD.size))


def decode_memory_table(payload: bytes) -> tuple[RegionDescription, ...]:
    """Decode the payload of SET_MEM_TABLE.

    It may be longer than the regions that count: user-mode Linux always sends room for two.
    """
    if len(payload) < _TABLE_HEAD.size:
        raise PayloadError(f"a memory table of {len(payload)} bytes")
    count = _TABLE_HEAD.unpack_from(payload)[0]
    end = _TABLE_HEAD.size + count * _REGION.size
    if not 0 < count <= MAX_SLOTS or len(payload) < end:
        raise PayloadError(f"a memory table of {count} regions in {len(payload)} bytes")
    body = payload[_TABLE_HEAD.size : end]
    return tuple(map(RegionDescription._make, _REGION.iter_unpack(body)))


def _unpack(form: struct.Struct, payload: bytes) -> tuple[int, ...]:
    if len(payload) != form.size:
        raise PayloadError(f"{len(payload)} bytes of payload, not {form.size}")
    return form.unpack(payload)
