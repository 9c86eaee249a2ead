"""Garbage: whatever a front-end sends, only `ConversationError` comes out, and nothing leaks."""

import os
import struct
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.testing.descriptors import open_descriptors
from aerostat.vhost_user import events, messages
from aerostat.vhost_user.backend import Backend
from aerostat.vhost_user.framing import ConversationError
from aerostat.vhost_user.messages import ConfigPart, Request

# Numbers that mean something somewhere, and their neighbours.
_NUMBERS = (0, 1, 2, 4, 5, 8, 128, 255, 256, 257, 32768, 65535, 65536, 2**31, 2**32 - 1)
_REQUESTS = (*Request, 0, 6, 7, 19, 20, 35, 36, 37, 1000)
_FLAGS = (0, messages.FLAG_NEED_REPLY, messages.FLAG_NEED_REPLY, 16)


def payload_from(source: Random) -> bytes:
    match source.randrange(4):
        case 0:
            return ConfigPart(
                source.randrange(20), 0, source.randbytes(source.randrange(20))
            ).encode()
        case 1:
            return source.randbytes(source.randrange(80))
    count = source.choice((0, 1, 2, 2, 2, 4, 10, 12))
    return struct.pack(f"={count}I", *(source.choice(_NUMBERS) for _ in range(count)))


def stream_from(source: Random) -> bytes:
    """Return a few messages, most of them well framed."""
    parts = []
    for _ in range(source.randint(1, 10)):
        flags = source.choice(_FLAGS)
        message = messages.encode(source.choice(_REQUESTS), payload_from(source), flags=flags)
        match source.randrange(30):
            case 0:
                message = message[: source.randint(0, len(message))]
            case 1:
                message = source.randbytes(source.randrange(30))
        parts.append(message)
    return b"".join(parts)


def converse(backend: Backend, happened: list[object]) -> None:
    """Answer everything there is to answer; add it to what happened."""
    while (event := backend.next_event()) is not None:
        happened.append(type(event))
        match event:
            case events.Refused():
                happened[-1] = event
            case events.ConfigRead(_, size):
                backend.reply_config(bytes(size))
            case events.RingStopped():
                backend.reply_ring_base(7)
            case events.MemoryTableSet(_, descriptors):
                for descriptor in descriptors:
                    descriptor.close()
                backend.accept()
            case events.KickSet() | events.CallSet() | events.ChannelSet() | events.RegionAdded():
                if event.descriptor is not None:
                    event.descriptor.close()
                backend.refuse()
            case _:
                backend.accept()


def run(stream: bytes, size: int) -> tuple[list[object], bytes, str | None]:
    """Feed `stream` in pieces of `size`; return the events, the answers, and how it ended."""
    backend = Backend(features=7, ring_count=5, config_size=16)
    happened: list[object] = []
    ending = None
    try:
        for start in range(0, len(stream), size):
            backend.receive(stream[start : start + size])
            assert backend.bytes_desired() > 0
            converse(backend, happened)
    except ConversationError as error:
        ending = str(error)
    answers = backend.data_to_send()
    backend.close()
    return happened, answers, ending


@settings(max_examples=15 * settings().max_examples)
@given(seed=st.integers(0, 2**64 - 1), size=st.integers(1, 40))
def test_how_a_stream_is_cut_makes_no_difference(seed: int, size: int) -> None:
    stream = stream_from(Random(seed))
    whole = run(stream, max(len(stream), 1))
    assert run(stream, size) == whole
    assert run(stream, 1) == whole


@settings(max_examples=5 * settings().max_examples)
@given(seed=st.integers(0, 2**64 - 1))
def test_no_descriptor_is_left_behind(seed: int) -> None:
    source = Random(seed)
    before = open_descriptors("memfd:fuzz")
    backend = Backend(features=7, ring_count=5, config_size=16)
    try:
        for _ in range(source.randint(1, 4)):
            descriptors = [os.memfd_create("fuzz") for _ in range(source.choice((0, 1, 2, 32, 33)))]
            backend.receive(stream_from(source), descriptors)
            converse(backend, [])
    except ConversationError:
        pass
    backend.close()
    assert open_descriptors("memfd:fuzz") == before
