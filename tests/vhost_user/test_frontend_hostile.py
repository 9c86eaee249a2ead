"""Back-ends that answer what nobody asked: the conversation ends, and nothing is left open."""

import os
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.testing.descriptors import open_descriptors
from aerostat.vhost_user import messages, outcomes
from aerostat.vhost_user.channel import Channel
from aerostat.vhost_user.framing import ConversationError
from aerostat.vhost_user.frontend import Frontend
from aerostat.vhost_user.messages import BackendRequest, ConfigPart, Request, RingState
from aerostat.virtio.features import RING_PACKED

FEATURES = 1 << 32 | 1 << 30 | 0b111
REPLY = messages.FLAG_REPLY
OK = messages.encode_u64(0)

_REPLIES = {
    Request.GET_FEATURES: messages.encode_u64(FEATURES),
    Request.GET_PROTOCOL_FEATURES: messages.encode_u64(0xFFFF_FFFF),
    Request.GET_QUEUE_NUM: messages.encode_u64(5),
    Request.GET_MAX_MEM_SLOTS: messages.encode_u64(32),
}


def reply(request: int, payload: bytes, flags: int = REPLY) -> bytes:
    return messages.encode(request, payload, flags=flags)


def negotiated() -> Frontend:
    """Return a front-end that has agreed with a back-end on everything."""
    frontend = Frontend()
    frontend.negotiate()
    while (message := frontend.next_message()) is not None:
        request = Request(messages.Header.decode(message.data[:12]).request)
        if frontend.awaits is request:
            frontend.receive(reply(request, _REPLIES.get(request, OK)))
    assert frontend.next_outcome() == outcomes.Negotiated(FEATURES & ~(1 << 30), 5)
    return frontend


def expect_the_end(frontend: Frontend, data: bytes, *descriptors: int) -> str:
    with pytest.raises(ConversationError) as caught:
        frontend.receive(data, descriptors)
    with pytest.raises(ConversationError):
        frontend.receive(b"")
    assert frontend.next_outcome() is None
    return str(caught.value)


WRONG_ANSWERS = {
    "another request": reply(Request.SET_FEATURES, OK),
    "no reply": messages.encode(Request.GET_VRING_BASE, RingState(1, 0).encode()),
    "version 2": b"\x0b\0\0\0\x06\0\0\0\x08\0\0\0" + bytes(8),
    "need_reply": reply(Request.GET_VRING_BASE, RingState(1, 0).encode(), REPLY | 8),
    "nothing": reply(Request.GET_VRING_BASE, b""),
    "too little": reply(Request.GET_VRING_BASE, bytes(7)),
    "too much": reply(Request.GET_VRING_BASE, bytes(12)),
    "another ring": reply(Request.GET_VRING_BASE, RingState(2, 0).encode()),
    "no index": reply(Request.GET_VRING_BASE, RingState(1, 1 << 16).encode()),
    "four gigabytes": b"\x0b\0\0\0\x05\0\0\0\xff\xff\xff\xff",
}


@pytest.mark.parametrize("data", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_a_wrong_answer_ends_the_conversation(data: bytes) -> None:
    frontend = negotiated()
    frontend.stop([1])
    frontend.receive(reply(Request.SET_VRING_ENABLE, OK))
    assert frontend.awaits is Request.GET_VRING_BASE
    expect_the_end(frontend, data)


def test_where_a_packed_ring_is_takes_32_bits() -> None:
    frontend = negotiated()
    frontend.choose(1 << RING_PACKED)
    frontend.receive(reply(Request.SET_FEATURES, OK))
    frontend.stop([1])
    frontend.receive(reply(Request.SET_VRING_ENABLE, OK))
    frontend.receive(reply(Request.GET_VRING_BASE, RingState(1, 0x8001_8001).encode()))
    frontend.next_outcome()
    assert frontend.next_outcome() == outcomes.Stopped({1: 0x8001_8001})


WRONG_CONFIGURATIONS = {
    "elsewhere": ConfigPart(8, 0, bytes(4)).encode(),
    "less": ConfigPart(4, 0, bytes(3)).encode(),
    "more": ConfigPart(4, 0, bytes(5)).encode(),
    "a lie about its size": ConfigPart(4, 0, bytes(4)).encode() + b"\0",
    "half a head": bytes(11),
}


@pytest.mark.parametrize("payload", WRONG_CONFIGURATIONS.values(), ids=WRONG_CONFIGURATIONS)
def test_a_configuration_is_what_was_asked_for(payload: bytes) -> None:
    frontend = negotiated()
    frontend.read_config(4, 4)
    expect_the_end(frontend, reply(Request.GET_CONFIG, payload))


@pytest.mark.parametrize("payload", [b"", bytes(4), bytes(16)])
def test_an_acknowledgement_is_one_number(payload: bytes) -> None:
    frontend = negotiated()
    frontend.choose(0)
    expect_the_end(frontend, reply(Request.SET_FEATURES, payload))


def test_an_answer_to_no_question_ends_the_conversation() -> None:
    expect_the_end(negotiated(), reply(Request.SET_FEATURES, OK))


def test_a_second_answer_ends_the_conversation() -> None:
    frontend = negotiated()
    frontend.choose(0)
    frontend.receive(reply(Request.SET_FEATURES, OK))
    assert frontend.next_outcome() == outcomes.FeaturesChosen(0)
    expect_the_end(frontend, reply(Request.SET_FEATURES, OK))


def test_a_back_end_without_protocol_features_is_of_no_use() -> None:
    frontend = Frontend()
    frontend.negotiate()
    answer = reply(Request.GET_FEATURES, messages.encode_u64(7))
    assert "protocol features" in expect_the_end(frontend, answer)


def test_descriptors_that_nobody_asked_for_are_closed() -> None:
    before = open_descriptors("memfd:stray")
    frontend = negotiated()
    frontend.choose(0)
    data = reply(Request.SET_FEATURES, OK)
    assert "nobody asked" in expect_the_end(frontend, data, os.memfd_create("stray"))
    flooded = negotiated()
    expect_the_end(flooded, data, *(os.memfd_create("stray") for _ in range(9)))
    assert open_descriptors("memfd:stray") == before


# ---- garbage


def answer_from(source: Random, awaited: int) -> bytes:
    """Return an answer, more often right than wrong in each of its parts."""
    right = reply(awaited, _REPLIES.get(Request(awaited), OK))
    match source.randrange(8):
        case 0:
            return source.randbytes(source.randrange(40))
        case 1:
            return reply(source.randrange(50), source.randbytes(source.choice((0, 8, 16))))
        case 2:
            return reply(awaited, source.randbytes(source.choice((0, 8, 8, 12, 16))))
        case 3:
            return reply(awaited, OK, source.randrange(16))
        case 4:
            return right[: source.randrange(len(right))]
    return right


@settings(max_examples=2 * settings().max_examples)
@given(seed=st.integers(0, 2**64 - 1))
def test_whatever_comes_only_conversation_error_is_raised(seed: int) -> None:
    source = Random(seed)
    before = open_descriptors("memfd:fuzz")
    frontend = Frontend()
    frontend.negotiate(0)
    frontend.choose(FEATURES)
    frontend.read_config(0, 16)
    frontend.write_config(4, bytes(4))
    frontend.stop(range(3))
    try:
        for _ in range(40):
            while frontend.next_message() is not None:
                pass
            if frontend.awaits is None:
                break
            stray = [os.memfd_create("fuzz")] if source.randrange(50) == 0 else []
            frontend.receive(answer_from(source, frontend.awaits), stray)
            while frontend.next_outcome() is not None:
                pass
    except ConversationError:
        pass
    frontend.close()
    assert open_descriptors("memfd:fuzz") == before


# ---- the channel of the back-end


CHANGED = messages.encode(BackendRequest.CONFIG_CHANGE_MSG)
ASKING = messages.encode(BackendRequest.CONFIG_CHANGE_MSG, flags=messages.FLAG_NEED_REPLY)


def test_a_changed_configuration_is_heard_of_and_acknowledged_if_asked() -> None:
    channel = Channel()
    assert channel.receive(CHANGED)
    assert channel.data_to_send() == b""
    assert channel.receive(ASKING)
    assert channel.data_to_send() == reply(BackendRequest.CONFIG_CHANGE_MSG, OK)
    assert channel.data_to_send() == b""


@pytest.mark.parametrize(
    "message", [messages.encode(7, bytes(8), flags=8), messages.encode(2, bytes(8), flags=8)]
)
def test_any_other_request_is_refused(message: bytes) -> None:
    channel = Channel()
    assert not channel.receive(message)
    answer = channel.data_to_send()
    assert answer[4:8] == b"\x05\0\0\0"
    assert messages.decode_u64(answer[12:]) != 0


def test_what_comes_along_is_closed() -> None:
    before = open_descriptors("memfd:stray")
    channel = Channel()
    assert not channel.receive(CHANGED[:5], [os.memfd_create("stray")])
    assert channel.receive(CHANGED[5:])
    assert open_descriptors("memfd:stray") == before
    assert not channel.receive(CHANGED[:5], [os.memfd_create("stray")])
    channel.close()
    assert open_descriptors("memfd:stray") == before


@given(st.binary(max_size=60))
def test_garbage_on_the_channel_raises_nothing_else(data: bytes) -> None:
    channel = Channel()
    try:
        channel.receive(CHANGED + data)
    except ConversationError:
        with pytest.raises(ConversationError):
            channel.receive(b"")
    channel.close()
