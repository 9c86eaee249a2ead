"""The back-end's conversation, with a front-end that says anything in any pieces."""

import os

from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.requests import say
from aerostat.vhost_user import events, messages
from aerostat.vhost_user.backend import Backend
from aerostat.vhost_user.descriptors import OwnedDescriptor
from aerostat.vhost_user.framing import ConversationError
from aerostat.vhost_user.messages import Request

_FEATURES = 0x1_3000_003F
_REPLYING = {
    Request.GET_FEATURES,
    Request.GET_PROTOCOL_FEATURES,
    Request.GET_QUEUE_NUM,
    Request.GET_VRING_BASE,
    Request.GET_CONFIG,
    Request.GET_MAX_MEM_SLOTS,
    Request.GET_STATUS,
}


def run(case: bytes) -> None:
    """Answer whatever comes; each request that asks for an answer gets one, and no other does."""
    source = Source(case)
    backend = Backend(features=_FEATURES, ring_count=5, config_size=16)
    in_step = True
    try:
        while source.left:
            if source.chance(2):
                backend.receive(source.blob(30))
                in_step = False  # from here on it is anybody's guess where messages begin
                _serve(source, backend)
                continue
            said = say(source, _FEATURES)
            due = _due(said.data)
            in_step = in_step and said.framed
            pieces = source.cut(said.data) if source.chance(20) else [said.data]
            for number, piece in enumerate(pieces):
                some = [os.dup(2) for _ in range(said.descriptors)] if number == 0 else []
                backend.receive(piece, some)
                _serve(source, backend)
            answers = _answers(backend.data_to_send())
            if in_step and not backend.within_message:
                assert answers == due, f"{said.request}: answers {answers}, due {due}"
            if source.chance(5):
                backend.need_reset()
            backend.config_changed()
    except ConversationError:
        for _ in range(2):
            try:
                backend.next_event()
            except ConversationError:
                continue
            raise AssertionError("a conversation that was cut goes on") from None
    finally:
        backend.close()


def _due(data: bytes) -> list[int]:
    header = messages.Header.decode(data[: messages.HEADER_SIZE])
    if header.request in _REPLYING or header.flags & messages.FLAG_NEED_REPLY:
        return [header.request]
    return []


def _answers(data: bytes) -> list[int]:
    found = []
    while data:
        header = messages.Header.decode(data[: messages.HEADER_SIZE])
        assert header.flags == messages.VERSION | messages.FLAG_REPLY
        found.append(header.request)
        data = data[messages.HEADER_SIZE + header.size :]
    return found


def _serve(source: Source, backend: Backend) -> None:
    while (event := backend.next_event()) is not None:
        for part in event:
            for descriptor in part if isinstance(part, tuple) else (part,):
                if isinstance(descriptor, OwnedDescriptor):
                    descriptor.close()
        match event:
            case events.Refused():
                pass
            case events.ConfigRead(offset, size):
                assert 0 < size <= 16 - offset
                backend.reply_config(bytes(size))
            case events.RingStopped(ring):
                assert not backend.rings[ring].ready
                backend.reply_ring_base(source.bits(16))
            case _ if source.chance(5):
                backend.refuse()
            case _:
                backend.accept()
    for setup in backend.rings:
        assert 0 <= setup.size <= 32768
        assert 0 <= setup.base <= 0xFFFF


TARGET = Target("backend", "the vhost-user messages of a front-end", run, longest=2048)
