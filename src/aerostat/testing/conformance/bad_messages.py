"""What no front-end should say to a vhost-user back-end: messages by name, and what comes of each.

Data for tests of any back-end with rings and a configuration space of 16 bytes ("Vhost-user
Protocol", QEMU, docs/interop/vhost-user). A message is sent in a conversation that has agreed on
all, shared its memory, and has rings that run (`Message.running`) or have ended. Whatever comes,
the back-end lives, keeps no descriptor, and serves a front-end that behaves: the same one, or
where the conversation was cut, the next.
"""

import struct
from typing import Literal, NamedTuple

from aerostat.testing.mocks.frontend import USER_BASE
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import (
    FLAG_NEED_REPLY,
    FLAG_REPLY,
    VERSION,
    ConfigPart,
    RegionDescription,
    Request,
    RingAddresses,
    RingState,
    encode_u64,
)

#: The guest's memory: so many bytes from guest address 0 on, at `USER_BASE` in the front-end, and
#: at the beginning of its file.
MEMORY_SIZE = 1 << 20

#: Answered with success, with a failure, or by hanging up; or not answered, as nothing was asked.
Outcome = Literal["accepted", "refused", "cut", "ignored"]
#: What comes along: a descriptor of the memory's file, or of a pipe.
File = Literal["memory", "pipe"]

_PAGE = 4096
_TOP = 1 << 64


class Message(NamedTuple):
    """Bytes to send and what comes along; `running` is whether rings run meanwhile."""

    name: str
    data: bytes
    outcome: Outcome
    files: tuple[File, ...] = ()
    running: bool = False


def _bad(
    name: str, request: int, payload: bytes = b"", *files: File, outcome: Outcome = "refused"
) -> Message:
    return Message(
        name, messages.encode(request, payload, flags=FLAG_NEED_REPLY), outcome, tuple(files)
    )


def _running(message: Message) -> Message:
    return message._replace(running=True)


def _ring(request: Request, value: int, index: int = 0) -> tuple[Request, bytes]:
    return request, RingState(index, value).encode()


def _table(*regions: tuple[int, int, int, int]) -> tuple[Request, bytes]:
    table = tuple(RegionDescription(*region) for region in regions)
    return Request.SET_MEM_TABLE, messages.encode_memory_table(table)


def _region(request: Request, *region: int) -> tuple[Request, bytes]:
    return request, messages.encode_region(RegionDescription(*region))


def _config(offset: int, size: int, data: bytes) -> bytes:
    return struct.pack("=III", offset, size, 0) + data


def _addresses(**places: int) -> tuple[Request, bytes]:
    whole = RingAddresses(0, 0, USER_BASE, USER_BASE + 0x2000, USER_BASE + 0x1000, 0)
    return Request.SET_VRING_ADDR, whole._replace(**places).encode()


_MEMORY = (0, MEMORY_SIZE, USER_BASE, 0)
_MANY: list[File] = ["memory"] * messages.MAX_DESCRIPTORS
_CALLS = (Request.SET_VRING_KICK, Request.SET_VRING_CALL)

RINGS = (
    _bad("a ring of no entries", *_ring(Request.SET_VRING_NUM, 0)),
    _bad("a ring of 3 entries", *_ring(Request.SET_VRING_NUM, 3)),
    _bad("a ring of 65536 entries", *_ring(Request.SET_VRING_NUM, 65536)),
    _bad("an index beyond 65535", *_ring(Request.SET_VRING_BASE, 65536)),
    _bad("a ring that is not there", *_ring(Request.SET_VRING_NUM, 8, index=255)),
    _bad("enabling a ring that is not there", *_ring(Request.SET_VRING_ENABLE, 1, index=255)),
    _bad("enabling by a 2", *_ring(Request.SET_VRING_ENABLE, 2)),
    _bad("enabling a ring of no size", *_ring(Request.SET_VRING_ENABLE, 1, 4), outcome="accepted"),
    _bad("a byte order of 2", *_ring(Request.SET_VRING_ENDIAN, 2)),
    _running(_bad("a size while the ring runs", *_ring(Request.SET_VRING_NUM, 8))),
    _running(_bad("a base while the ring runs", *_ring(Request.SET_VRING_BASE, 0))),
    _running(_bad("addresses while the ring runs", *_addresses())),
    _running(_bad("a byte order while the ring runs", *_ring(Request.SET_VRING_ENDIAN, 1))),
    _bad("a kick and no descriptor", Request.SET_VRING_KICK, encode_u64(0)),
    _bad("a ring to be polled", Request.SET_VRING_KICK, encode_u64(messages.RING_NO_DESCRIPTOR)),
    _bad("a kick that is a file", Request.SET_VRING_KICK, encode_u64(0), "memory"),
    *(_bad(f"{request.name} of ring 255", request, encode_u64(255), "pipe") for request in _CALLS),
    *(_bad(f"{request.name} twice", request, encode_u64(0), "pipe", "pipe") for request in _CALLS),
    *(
        _bad(f"{request.name} of 4 bytes", request, bytes(4))
        for request in (Request.SET_VRING_NUM, Request.SET_VRING_ADDR, Request.SET_VRING_KICK)
    ),
    _bad(
        "the end of a ring that is not there", *_ring(Request.GET_VRING_BASE, 0, 255), outcome="cut"
    ),
)

MEMORY = (
    _bad("a table of no regions", *_table()),
    _bad("a table of 33 regions", *_table(*[_MEMORY] * 33), *_MANY),
    _bad("a table of 1000 regions", Request.SET_MEM_TABLE, struct.pack("=II", 1000, 0) + bytes(64)),
    _bad("a table without descriptors", *_table(_MEMORY)),
    _bad("a table with too many", *_table(_MEMORY), "memory", "memory"),
    _bad("a region of no bytes", *_table((0, 0, USER_BASE, 0)), "memory"),
    _bad("a region beyond its file", *_table((0, MEMORY_SIZE, USER_BASE, _PAGE)), "memory"),
    _bad("an offset beyond all", *_table((0, _PAGE, USER_BASE, _TOP - _PAGE)), "memory"),
    _bad("a region that wraps around", *_table((_TOP - _PAGE, 2 * _PAGE, 0, 0)), "memory"),
    _bad("regions that overlap", *_table(_MEMORY, (_PAGE, _PAGE, 0, 0)), "memory", "memory"),
    _bad(
        "regions that overlap there",
        *_table((0, _PAGE, 0, 0), (1 << 30, _PAGE, 1, 0)),
        "memory",
        "memory",
    ),
    _bad("memory that is a pipe", *_table(_MEMORY), "pipe"),
    _running(_bad("a table without the rings", *_table((0, _PAGE, USER_BASE, 0)), "memory")),
    _bad("one more region over another", *_region(Request.ADD_MEM_REG, *_MEMORY), "memory"),
    _bad("one more region and no file", *_region(Request.ADD_MEM_REG, 1 << 30, _PAGE, 0, 0)),
    _bad("one region less that is none", *_region(Request.REM_MEM_REG, 1, _PAGE, 2, 3)),
    _running(_bad("the rings' region less", *_region(Request.REM_MEM_REG, *_MEMORY))),
)

CONFIGURATION = (
    *(
        Message(name, messages.encode(Request.GET_CONFIG, payload), "refused")
        for name, payload in (
            ("configuration beyond its end", ConfigPart(12, 0, bytes(8)).encode()),
            ("configuration from far beyond", ConfigPart(0xFFFFFFFF, 0, bytes(4)).encode()),
            ("no bytes of configuration", ConfigPart(0, 0, b"").encode()),
            ("configuration of another size", _config(0, 16, bytes(4))),
            ("a third of a configuration", bytes(4)),
        )
    ),
    _bad("a write beyond the end", Request.SET_CONFIG, ConfigPart(14, 0, bytes(4)).encode()),
    _bad("a write of another size", Request.SET_CONFIG, _config(4, 4, bytes(2))),
    *(
        _bad(
            f"a write with flags {flags}",
            Request.SET_CONFIG,
            ConfigPart(0, flags, b"\xff" * 4).encode(),
            outcome="accepted",  # of what no driver may write
        )
        for flags in (0, 1, 2, 0xFFFFFFFF)
    ),
)

FEATURES = (
    _bad("features that are not offered", Request.SET_FEATURES, encode_u64(1 << 20)),
    _bad("all features there are", Request.SET_FEATURES, encode_u64(_TOP - 1)),
    _running(_bad("other features while rings run", Request.SET_FEATURES, encode_u64(0))),
    _bad("protocol features that are none", Request.SET_PROTOCOL_FEATURES, encode_u64(1 << 63)),
    _bad("features of 4 bytes", Request.SET_FEATURES, bytes(4)),
    _bad("an owner, again", Request.SET_OWNER, outcome="accepted"),
    _bad("a status of 256", Request.SET_STATUS, encode_u64(256)),
    _bad("a channel without a descriptor", Request.SET_BACKEND_REQ_FD),
    _bad("request 0", 0),
    _bad("request 1000", 1000),
    _bad("request 1000 with descriptors", 1000, b"", "pipe", "memory"),
    Message("request 1000 that asks for nothing", messages.encode(1000), "ignored"),
)

_HEADER = struct.Struct("=III")

FRAMING = (
    Message("version 0", _HEADER.pack(1, 0, 0), "cut"),
    Message("version 2", _HEADER.pack(1, 2, 0), "cut"),
    Message("an answer to nothing", _HEADER.pack(1, VERSION | FLAG_REPLY, 8) + bytes(8), "cut"),
    Message("a payload of 2 GiB", _HEADER.pack(5, VERSION, 1 << 31), "cut"),
    Message("a payload of 4097 bytes", _HEADER.pack(5, VERSION, 4097), "cut"),
    Message("another protocol", b"GET / HTTP/1.1\r\n\r\n", "cut"),
    Message("zeros", bytes(64), "cut"),
    Message("too many descriptors", b"\x01", "cut", ("pipe",) * 33),
)

MESSAGES = (*RINGS, *MEMORY, *CONFIGURATION, *FEATURES, *FRAMING)
