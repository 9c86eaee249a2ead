"""The front-end's side: what it says and in which order, and what it makes of the answers."""

import os
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.errors import UsageError
from aerostat.vhost_user import events, messages, outcomes
from aerostat.vhost_user.backend import Backend
from aerostat.vhost_user.frontend import PROTOCOL_FEATURES, Frontend, RingPlan
from aerostat.vhost_user.messages import (
    Header,
    ProtocolFeature,
    RegionDescription,
    Request,
)

FEATURES = 1 << 32 | 0b111
CONFIG = bytes(range(16))
REGIONS = (
    RegionDescription(0, 0x1000, 0x7000_0000, 0),
    RegionDescription(0x4000, 0x2000, 0x7000_4000, 0x1000),
)
WITHOUT_SLOTS = PROTOCOL_FEATURES & ~(1 << ProtocolFeature.CONFIGURE_MEM_SLOTS)


def feature_sets(*features: ProtocolFeature) -> int:
    return sum(1 << feature for feature in features)


class Pair:
    """A front-end and our own back-end, and the bytes between them, cut into pieces by `source`."""

    def __init__(self, wanted: int = PROTOCOL_FEATURES, source: Random | None = None) -> None:
        self.frontend = Frontend(wanted=wanted)
        self.backend = Backend(features=FEATURES, ring_count=5, config_size=16)
        self.source = source
        self.file = os.memfd_create("front")
        self.said: list[Header] = []
        self.happened: list[object] = []
        self.refused: set[type] = set()

    def carry(self) -> list[outcomes.Outcome]:
        """Carry messages to and fro until nothing more is said; return what came of it."""
        ended = []
        while (message := self.frontend.next_message()) is not None:
            self.said.append(Header.decode(message.data[: messages.HEADER_SIZE]))
            duplicates = [os.dup(number) for number in message.descriptors]
            for piece in self.pieces(message.data):
                self.backend.receive(piece, duplicates)
                duplicates = []
                self.answer()
            for piece in self.pieces(self.backend.data_to_send()):
                self.frontend.receive(piece)
            while (outcome := self.frontend.next_outcome()) is not None:
                ended.append(outcome)
        return ended

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            size = self.source.randint(1, len(data)) if self.source else len(data)
            yield data[:size]
            data = data[size:]

    def answer(self) -> None:
        while (event := self.backend.next_event()) is not None:
            self.happened.append(event)
            match event:
                case events.Refused():
                    continue
                case events.ConfigRead(offset, size):
                    self.backend.reply_config(CONFIG[offset : offset + size])
                case events.RingStopped(ring):
                    self.backend.reply_ring_base(100 + ring)
                case _:
                    self.close_descriptors(event)
                    if type(event) in self.refused:
                        self.backend.refuse()
                    else:
                        self.backend.accept()

    @staticmethod
    def close_descriptors(event: events.Event) -> None:
        match event:
            case events.MemoryTableSet(_, descriptors):
                for descriptor in descriptors:
                    descriptor.close()
            case events.KickSet() | events.CallSet() | events.ChannelSet() | events.RegionAdded():
                if event.descriptor is not None:
                    event.descriptor.close()

    def plan(self, ring: int, *, big_endian: bool = False) -> RingPlan:
        kick = call = self.file
        return RingPlan(ring, 128, 0x1000, 0x2000, 0x3000, 7, kick, call, big_endian)

    def start(self) -> list[outcomes.Outcome]:
        """Do all that comes before the first request on a ring."""
        self.frontend.negotiate(self.file)
        ended = self.carry()
        self.frontend.choose(FEATURES)
        self.frontend.share(REGIONS, [self.file] * 2)
        self.frontend.describe([self.plan(0), self.plan(1)])
        self.frontend.enable([0, 1])
        return ended + self.carry()

    def close(self) -> None:
        self.frontend.close()
        self.backend.close()
        os.close(self.file)


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


# ---- what is said


def names(said: list[Header]) -> list[str]:
    return [Request(header.request).name for header in said]


def test_a_device_is_brought_up_in_the_order_that_every_back_end_takes() -> None:
    pair = Pair(wanted=WITHOUT_SLOTS)
    pair.start()
    ring = [
        *("SET_VRING_ENDIAN", "SET_VRING_NUM", "SET_VRING_BASE", "SET_VRING_ADDR"),
        *("SET_VRING_ERR", "SET_VRING_CALL", "SET_VRING_KICK"),
    ]
    assert names(pair.said) == [
        *("GET_FEATURES", "GET_PROTOCOL_FEATURES", "SET_PROTOCOL_FEATURES", "GET_QUEUE_NUM"),
        *("SET_OWNER", "SET_BACKEND_REQ_FD", "SET_FEATURES", "SET_MEM_TABLE"),
        *(*ring, *ring, "SET_VRING_ENABLE", "SET_VRING_ENABLE"),
    ]
    pair.close()


def test_an_answer_is_asked_for_wherever_there_is_no_reply(pair: Pair) -> None:
    pair.start()
    pair.frontend.read_config(0, 8)
    pair.frontend.stop([0, 1])
    pair.carry()
    asked = {header.request for header in pair.said if header.flags & messages.FLAG_NEED_REPLY}
    replying = {
        *(Request.GET_FEATURES, Request.GET_PROTOCOL_FEATURES, Request.GET_QUEUE_NUM),
        *(Request.GET_MAX_MEM_SLOTS, Request.GET_CONFIG, Request.GET_VRING_BASE),
    }
    # Not on the message that agrees on answers: before it, nobody has agreed.
    not_asked = replying | {Request.SET_PROTOCOL_FEATURES}
    assert {header.request for header in pair.said} - asked == not_asked


def test_the_back_end_learns_all_of_a_ring(pair: Pair) -> None:
    pair.start()
    ring = pair.backend.rings[1]
    assert ring.ready
    assert (ring.size, ring.base) == (128, 7)
    assert ring.addresses is not None
    assert ring.addresses[1:] == (0, 0x1000, 0x3000, 0x2000, 0)
    assert events.FeaturesSet(FEATURES) in pair.happened


def test_outcomes_come_in_the_order_of_what_was_asked(pair: Pair) -> None:
    assert pair.start() == [
        outcomes.Negotiated(FEATURES, 5),
        outcomes.FeaturesChosen(FEATURES),
        outcomes.MemoryShared(),
        outcomes.Described((0, 1)),
        outcomes.Enabled((0, 1), enabled=True),
    ]
    pair.frontend.read_config(4, 8)
    pair.frontend.write_config(4, b"abcd")
    pair.frontend.stop([0, 1])
    pair.frontend.reset()
    assert pair.carry() == [
        outcomes.ConfigRead(4, CONFIG[4:12]),
        outcomes.ConfigWritten(4, b"abcd"),
        outcomes.Stopped({0: 100, 1: 101}),
        outcomes.DeviceReset(),
    ]
    assert events.ConfigWritten(4, b"abcd") in pair.happened
    assert names(pair.said)[-6:] == [
        *("SET_CONFIG", "SET_VRING_ENABLE", "SET_VRING_ENABLE"),
        *("GET_VRING_BASE", "GET_VRING_BASE", "RESET_DEVICE"),
    ]


def test_with_memory_slots_only_what_changes_is_said(pair: Pair) -> None:
    pair.start()
    said = len(pair.said)
    grown = RegionDescription(0x4000, 0x3000, 0x7000_4000, 0x1000)
    pair.frontend.share([REGIONS[0], grown], [pair.file] * 2)
    assert pair.carry() == [outcomes.MemoryShared()]
    assert names(pair.said[said:]) == ["REM_MEM_REG", "ADD_MEM_REG"]
    assert "SET_MEM_TABLE" not in names(pair.said)


def test_memory_slots_make_room_for_more_regions(pair: Pair) -> None:
    regions = [RegionDescription(i * 0x4000, 0x1000, 0x7000_0000 + i * 0x1000, 0) for i in range(9)]
    few = Pair(wanted=WITHOUT_SLOTS)
    few.start()
    with pytest.raises(UsageError, match="9 regions"):
        few.frontend.share(regions, [few.file] * 9)
    few.close()
    pair.start()
    pair.frontend.share(regions, [pair.file] * 9)
    assert pair.carry() == [outcomes.MemoryShared()]


def test_a_back_end_is_told_the_byte_order_if_it_can_be(pair: Pair) -> None:
    pair.start()
    pair.frontend.describe([pair.plan(3, big_endian=True)])
    assert pair.carry() == [outcomes.Described((3,))]
    assert pair.backend.rings[3].byteorder == "big"
    other = Pair(wanted=PROTOCOL_FEATURES & ~feature_sets(ProtocolFeature.CROSS_ENDIAN))
    other.start()
    with pytest.raises(UsageError, match="big-endian"):
        other.frontend.describe([other.plan(3, big_endian=True)])
    other.close()


def test_without_agreed_answers_nothing_is_waited_for() -> None:
    pair = Pair(wanted=feature_sets(ProtocolFeature.CONFIG))
    assert len(pair.start()) == 5
    assert not any(header.flags & messages.FLAG_NEED_REPLY for header in pair.said)
    with pytest.raises(UsageError):
        pair.frontend.reset()
    pair.close()


@settings(max_examples=settings().max_examples // 2)
@given(seed=st.integers(0, 2**64 - 1))
def test_how_the_bytes_are_cut_makes_no_difference(seed: int) -> None:
    results = []
    for source in (None, Random(seed)):
        pair = Pair(source=source)
        ended = pair.start()
        pair.frontend.read_config(0, 16)
        pair.frontend.stop([1])
        results.append((ended + pair.carry(), pair.said))
        pair.close()
    assert results[0] == results[1]


# ---- refusals


def test_a_refusal_ends_its_procedure_and_no_other(pair: Pair) -> None:
    pair.start()
    pair.refused = {events.ConfigWritten, events.RingEnabled}
    pair.frontend.write_config(4, b"abcd")
    pair.frontend.enable([2, 3])
    pair.frontend.read_config(0, 1)
    said = len(pair.said)
    assert pair.carry() == [
        outcomes.Refused(Request.SET_CONFIG),
        outcomes.Refused(Request.SET_VRING_ENABLE),
        outcomes.ConfigRead(0, CONFIG[:1]),
    ]
    assert names(pair.said[said:]) == ["SET_CONFIG", "SET_VRING_ENABLE", "GET_CONFIG"]


def test_a_configuration_that_cannot_be_read_is_refused(pair: Pair) -> None:
    pair.start()
    pair.frontend.read_config(15, 2)
    pair.frontend.stop([0])
    assert pair.carry() == [outcomes.Refused(Request.GET_CONFIG), outcomes.Stopped({0: 100})]


def test_what_a_ring_is_told_of_its_notifications(pair: Pair) -> None:
    pair.start()
    plan = pair.plan(2)._replace(call=None)
    pair.frontend.describe([plan])
    pair.carry()
    assert events.CallSet(2, None) in pair.happened
    assert pair.backend.rings[2].started


def test_a_closed_conversation_says_nothing_more(pair: Pair) -> None:
    pair.start()
    pair.frontend.stop([0])
    pair.frontend.enable([1])
    assert pair.frontend.awaits is Request.SET_VRING_ENABLE
    pair.frontend.close()
    assert pair.frontend.next_message() is None
    assert pair.frontend.next_outcome() is None
