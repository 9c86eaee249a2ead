"""The front-end's conversation, with a back-end that answers anything; and that one's channel."""

import os
from collections.abc import Callable

from aerostat.errors import UsageError
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.requests import region
from aerostat.vhost_user import messages
from aerostat.vhost_user.channel import Channel
from aerostat.vhost_user.framing import ConversationError
from aerostat.vhost_user.frontend import Frontend, Message, RingPlan
from aerostat.vhost_user.messages import ConfigPart, Request, RingState

_SOUND = {
    Request.GET_FEATURES: messages.encode_u64(0x1_7000_003F),
    Request.GET_PROTOCOL_FEATURES: messages.encode_u64(0x1_A269),
    Request.GET_QUEUE_NUM: messages.encode_u64(5),
    Request.GET_MAX_MEM_SLOTS: messages.encode_u64(8),
}


def run(case: bytes) -> None:
    """Begin procedures, answer them well and badly; hear the channel, too."""
    source = Source(case)
    if source.chance(15):
        _hear(source)
        return
    frontend = Frontend()
    begun = ended = 0
    try:
        frontend.negotiate(2 if source.chance(30) else None)
        begun += 1
        while source.left:
            if source.chance(40):
                begun += _begin(source, frontend)
            ended += _talk(source, frontend)
            assert ended <= begun
    except ConversationError:
        try:
            frontend.receive(b"")
        except ConversationError:
            return
        raise AssertionError("a conversation that was cut goes on") from None
    finally:
        frontend.close()


def _begin(source: Source, frontend: Frontend) -> int:
    plans = [_plan(source, ring) for ring in range(source.below(4))]
    regions = [region(source) for _ in range(source.below(10))]
    procedures: tuple[Callable[[], None], ...] = (
        lambda: frontend.read_config(source.below(16), source.below(17)),
        lambda: frontend.write_config(4, source.blob(12)),
        lambda: frontend.choose(source.bits(64)),
        lambda: frontend.share(regions, [2] * len(regions)),
        lambda: frontend.describe(plans),
        lambda: frontend.enable([plan.ring for plan in plans], enabled=source.chance(50)),
        lambda: frontend.stop(plan.ring for plan in plans),
        frontend.reset,
    )
    try:
        source.choose(procedures)()
    except UsageError:
        return 0
    return 1


def _plan(source: Source, ring: int) -> RingPlan:
    return RingPlan(
        ring,
        size=1 << source.below(9),
        descriptors=source.number(64),
        available=source.number(64),
        used=source.number(64),
        base=source.bits(16),
        kick=2,
        call=None if source.chance(20) else 2,
        big_endian=source.chance(10),
    )


def _talk(source: Source, frontend: Frontend) -> int:
    asked: Message | None = None
    while (message := frontend.next_message()) is not None:
        asked = message
    if frontend.awaits is not None and asked is not None:
        said = answer(source, asked)
        for piece in source.cut(said) if source.chance(10) else [said]:
            brought = [os.dup(2)] if source.chance(1) else []
            frontend.receive(piece, brought)
    elif source.chance(3):
        frontend.receive(source.blob(20))
    ended = 0
    while frontend.next_outcome() is not None:
        ended += 1
    return ended


def answer(source: Source, asked: Message) -> bytes:
    """Return an answer to a message, mostly a sound one."""
    header = messages.Header.decode(asked.data[: messages.HEADER_SIZE])
    payload = asked.data[messages.HEADER_SIZE :]
    reply = _SOUND.get(Request(header.request), messages.encode_u64(0))
    if header.request == Request.GET_CONFIG:
        part = ConfigPart.decode(payload)
        reply = ConfigPart(part.offset, 0, source.take(len(part.data))).encode()
    elif header.request == Request.GET_VRING_BASE:
        reply = RingState(RingState.decode(payload).ring, source.near(7, 32)).encode()
    kind = source.byte()
    if kind >= 0xE8:
        return _spoiled(source, header.request, reply)
    return messages.encode(header.request, reply, flags=messages.FLAG_REPLY)


def _spoiled(source: Source, request: int, reply: bytes) -> bytes:
    flags = messages.FLAG_REPLY
    match source.below(5):
        case 0:
            reply = messages.encode_u64(source.number(64))
        case 1:
            reply = reply[: source.below(len(reply) + 1)]
        case 2:
            reply += source.blob(40)
        case 3:
            request = source.number(32)
        case _:
            flags = source.number(8)
    return messages.encode(request, reply, flags=flags & ~messages.VERSION)


def _hear(source: Source) -> None:
    channel = Channel()
    asked = 0
    try:
        while source.left:
            request = source.near(2, 32)
            flags = messages.FLAG_NEED_REPLY if source.chance(50) else source.near(0, 8) & ~1
            data = messages.encode(request, source.blob(source.choose((0, 0, 9))), flags=flags)
            asked += bool(flags & messages.FLAG_NEED_REPLY)
            brought = [os.dup(2)] if source.chance(10) else []
            channel.receive(data, brought)
            assert len(channel.data_to_send()) <= 20 * asked
            assert channel.bytes_desired() > 0
    finally:
        channel.close()


TARGET = Target("frontend", "the vhost-user answers of a back-end", run, longest=2048)
