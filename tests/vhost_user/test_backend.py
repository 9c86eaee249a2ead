"""The conversation: what is answered, what becomes an event, what is refused, what ends it."""

import os
from collections.abc import Iterator, Sequence

import pytest

from aerostat.errors import UsageError
from aerostat.vhost_user import events, messages
from aerostat.vhost_user.backend import PROTOCOL_FEATURES, Backend
from aerostat.vhost_user.framing import ConversationError
from aerostat.vhost_user.messages import ConfigPart, RegionDescription, Request, RingState
from aerostat.virtio.features import RING_PACKED

FEATURES = 1 << 32 | 0b111
PROTOCOL_BIT = 1 << 30
OK = messages.encode_u64(0)
FAILED = messages.encode_u64(1)


class Conversation:
    """A back-end and the words of a front-end."""

    def __init__(self, features: int = FEATURES) -> None:
        self.backend = Backend(features=features, ring_count=5, config_size=16)

    def say(
        self,
        request: int,
        payload: bytes = b"",
        descriptors: Sequence[int] = (),
        *,
        flags: int = messages.FLAG_NEED_REPLY,
    ) -> events.Event | None:
        self.backend.receive(messages.encode(request, payload, flags=flags), descriptors)
        return self.backend.next_event()

    def answer(self) -> tuple[int, bytes]:
        data = self.backend.data_to_send()
        header = messages.Header.decode(data[:12])
        assert header.flags == messages.VERSION | messages.FLAG_REPLY
        assert len(data) == 12 + header.size
        return header.request, data[12:]

    def ask(self, request: int, payload: bytes = b"") -> None:
        assert self.say(request, payload, flags=0) is None
        assert self.answer()[0] == request

    def agree(
        self, request: int, payload: bytes = b"", descriptors: Sequence[int] = ()
    ) -> events.Event | None:
        """Say something that the back-end deals with by itself, or is accepted here."""
        event = self.say(request, payload, descriptors)
        if event is not None:
            assert not isinstance(event, events.Refused), event
            self.backend.accept()
        assert self.answer() == (request, OK)
        return event

    def refused(self, request: int, payload: bytes = b"", descriptors: Sequence[int] = ()) -> str:
        event = self.say(request, payload, descriptors)
        assert isinstance(event, events.Refused)
        assert self.answer() == (request, FAILED)
        return event.reason


@pytest.fixture
def talk() -> Iterator[Conversation]:
    conversation = Conversation()
    yield conversation
    conversation.backend.close()


@pytest.fixture
def descriptor() -> int:
    return os.memfd_create("test")


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def ring(index: int, value: int) -> bytes:
    return RingState(index, value).encode()


def set_up_ring(talk: Conversation, index: int = 0) -> None:
    addresses = messages.RingAddresses(index, 0, 0x1000, 0x3000, 0x2000, 0)
    talk.agree(Request.SET_VRING_NUM, ring(index, 128))
    talk.agree(Request.SET_VRING_BASE, ring(index, 0))
    talk.agree(Request.SET_VRING_ADDR, addresses.encode())
    event = talk.agree(Request.SET_VRING_KICK, messages.encode_u64(index), [os.memfd_create("k")])
    assert isinstance(event, events.KickSet)
    event.descriptor.close()


# ---- what the back-end answers by itself


def test_features_are_offered_with_the_protocol_bit(talk: Conversation) -> None:
    assert talk.say(Request.GET_FEATURES) is None
    assert talk.answer() == (1, messages.encode_u64(FEATURES | PROTOCOL_BIT))


def test_the_protocol_features_and_the_number_of_rings_are_told(talk: Conversation) -> None:
    talk.say(Request.GET_PROTOCOL_FEATURES)
    assert talk.answer() == (15, messages.encode_u64(PROTOCOL_FEATURES))
    talk.say(Request.GET_QUEUE_NUM)
    assert talk.answer() == (17, messages.encode_u64(5))


def test_the_message_that_negotiates_answers_is_itself_answered(talk: Conversation) -> None:
    # User-mode Linux waits for it.
    talk.agree(Request.SET_PROTOCOL_FEATURES, messages.encode_u64(PROTOCOL_FEATURES))
    assert talk.backend.protocol_features == PROTOCOL_FEATURES


def test_who_does_not_ask_for_an_answer_gets_none(talk: Conversation) -> None:
    assert talk.say(Request.SET_OWNER, flags=0) is None
    assert talk.backend.data_to_send() == b""


# ---- events


def test_features_come_without_the_protocol_bit(talk: Conversation) -> None:
    event = talk.agree(Request.SET_FEATURES, messages.encode_u64(0b10 | PROTOCOL_BIT))
    assert event == events.FeaturesSet(0b10)
    assert not any(ring.enabled for ring in talk.backend.rings)


def test_without_the_protocol_bit_rings_are_enabled_from_the_start(talk: Conversation) -> None:
    talk.agree(Request.SET_FEATURES, messages.encode_u64(0b10))
    assert all(ring.enabled for ring in talk.backend.rings)


def test_a_memory_table_brings_a_descriptor_for_each_region(
    talk: Conversation, descriptor: int
) -> None:
    region = RegionDescription(0, 0x1000, 0x7000, 0)
    payload = messages.encode_memory_table((region,))
    event = talk.agree(Request.SET_MEM_TABLE, payload, [descriptor])
    assert isinstance(event, events.MemoryTableSet)
    assert event.regions == (region,)
    assert event.descriptors[0].fileno() == descriptor
    event.descriptors[0].close()


def test_a_ring_is_ready_when_described_started_and_enabled(talk: Conversation) -> None:
    talk.agree(Request.SET_FEATURES, messages.encode_u64(PROTOCOL_BIT))
    set_up_ring(talk, 2)
    states = [talk.backend.rings[2].ready]
    for enabled in (True, False):
        event = talk.agree(Request.SET_VRING_ENABLE, ring(2, int(enabled)))
        assert event == events.RingEnabled(2, enabled)
        states.append(talk.backend.rings[2].ready)
    assert states == [False, True, False]


def test_ending_a_ring_returns_its_index_and_forgets_it(talk: Conversation) -> None:
    set_up_ring(talk)
    assert talk.say(Request.GET_VRING_BASE, ring(0, 0)) == events.RingStopped(0)
    talk.backend.reply_ring_base(41)
    assert talk.answer() == (11, ring(0, 41))
    assert talk.backend.rings[0].addresses is None


def test_a_driver_that_starts_over_finds_its_rings_undescribed(talk: Conversation) -> None:
    # User-mode Linux resets a device by disabling its rings, and says no more than that.
    set_up_ring(talk, 1)
    talk.agree(Request.SET_VRING_ENABLE, ring(1, 1))
    talk.agree(Request.SET_VRING_ENABLE, ring(1, 0))
    talk.agree(Request.SET_FEATURES, messages.encode_u64(PROTOCOL_BIT))
    assert talk.backend.rings[1].addresses is None


def test_configuration_is_read_in_exactly_the_size_that_was_asked_for(talk: Conversation) -> None:
    event = talk.say(Request.GET_CONFIG, ConfigPart(4, 0, bytes(4)).encode())
    assert event == events.ConfigRead(4, 4)
    talk.backend.reply_config(b"\1\2\3\4")
    assert talk.answer() == (24, ConfigPart(4, 0, b"\1\2\3\4").encode())


@pytest.mark.parametrize(("offset", "size"), [(0, 0), (0, 17), (16, 1), (15, 2), (2**32 - 1, 4)])
def test_configuration_out_of_range_is_answered_with_nothing(
    talk: Conversation, offset: int, size: int
) -> None:
    event = talk.say(Request.GET_CONFIG, ConfigPart(offset, 0, bytes(size)).encode())
    assert isinstance(event, events.Refused)
    assert talk.answer() == (24, b"")


@pytest.mark.parametrize("flags", [0, 1, 2])
def test_front_ends_disagree_about_the_flags_of_a_write(talk: Conversation, flags: int) -> None:
    event = talk.agree(Request.SET_CONFIG, ConfigPart(4, flags, b"abcd").encode())
    assert event == events.ConfigWritten(4, b"abcd")


def test_a_call_may_be_absent(talk: Conversation, descriptor: int) -> None:
    event = talk.agree(Request.SET_VRING_CALL, messages.encode_u64(1), [descriptor])
    assert isinstance(event, events.CallSet)
    assert event.descriptor is not None
    event.descriptor.close()
    event = talk.agree(Request.SET_VRING_CALL, messages.encode_u64(1 | 0x100))
    assert event == events.CallSet(1, None)


def test_an_error_descriptor_is_closed_at_once(talk: Conversation, descriptor: int) -> None:
    talk.agree(Request.SET_VRING_ERR, messages.encode_u64(0), [descriptor])
    assert not is_open(descriptor)


def test_a_reset_forgets_every_ring(talk: Conversation) -> None:
    set_up_ring(talk)
    talk.agree(Request.SET_VRING_ENABLE, ring(0, 1))
    assert talk.agree(Request.RESET_DEVICE) == events.DeviceReset()
    assert not talk.backend.rings[0].enabled
    assert talk.backend.rings[0].size == 0


# ---- the back-end's own channel


def test_a_configuration_is_announced_only_while_a_ring_is_ready(talk: Conversation) -> None:
    # QEMU dies of an announcement that comes while its device is not running.
    talk.agree(Request.SET_PROTOCOL_FEATURES, messages.encode_u64(PROTOCOL_FEATURES))
    assert talk.backend.config_changed() is None
    talk.agree(Request.SET_VRING_ENABLE, ring(0, 1))
    assert talk.backend.config_changed() is None
    set_up_ring(talk)
    assert talk.backend.config_changed() == messages.encode(2)
    talk.agree(Request.SET_VRING_ENABLE, ring(0, 0))
    assert talk.backend.config_changed() is None


def test_nothing_is_announced_to_a_front_end_that_did_not_agree_to_listen(
    talk: Conversation,
) -> None:
    set_up_ring(talk)
    talk.agree(Request.SET_VRING_ENABLE, ring(0, 1))
    assert talk.backend.config_changed() is None


# ---- refusals


@pytest.mark.parametrize("size", [0, 3, 65536, 2**31])
def test_a_ring_has_a_power_of_two_entries_at_most_32768(talk: Conversation, size: int) -> None:
    talk.refused(Request.SET_VRING_NUM, ring(0, size))


@pytest.mark.statement("PK-1")
def test_packed_rings_have_any_size_and_two_positions() -> None:
    talk = Conversation(FEATURES | 1 << RING_PACKED)
    talk.refused(Request.SET_VRING_NUM, ring(0, 3))
    talk.refused(Request.SET_VRING_BASE, ring(0, 0x8000_8000))
    features = FEATURES | PROTOCOL_BIT | 1 << RING_PACKED
    talk.agree(Request.SET_FEATURES, messages.encode_u64(features))
    talk.agree(Request.SET_VRING_NUM, ring(0, 3))
    talk.agree(Request.SET_VRING_BASE, ring(0, 0x8000_8000))
    assert (talk.backend.rings[0].size, talk.backend.rings[0].base) == (3, 0x8000_8000)
    for size in (0, 32769):
        talk.refused(Request.SET_VRING_NUM, ring(0, size))
    talk.backend.close()


@pytest.mark.parametrize(
    ("request_", "payload"),
    [
        (Request.SET_VRING_NUM, ring(255, 128)),
        (Request.SET_VRING_NUM, b""),
        (Request.SET_VRING_BASE, ring(0, 65536)),
        (Request.SET_VRING_ENABLE, ring(5, 1)),
        (Request.SET_VRING_ENABLE, ring(0, 2)),
        (Request.SET_VRING_KICK, messages.encode_u64(0x100)),
        (Request.SET_VRING_KICK, messages.encode_u64(0)),
        (Request.SET_VRING_CALL, messages.encode_u64(7)),
        (Request.SET_FEATURES, messages.encode_u64(1 << 29)),
        (Request.SET_PROTOCOL_FEATURES, messages.encode_u64(1 << 63)),
        (Request.SET_BACKEND_REQ_FD, b""),
        (Request.SET_CONFIG, ConfigPart(14, 0, b"abcd").encode()),
        (Request.SET_MEM_TABLE, bytes(8)),
        (0, b""),
        (1000, b"whatever"),
    ],
)
def test_bad_requests_are_refused_and_the_conversation_goes_on(
    talk: Conversation, request_: int, payload: bytes
) -> None:
    talk.refused(request_, payload)
    talk.ask(Request.GET_FEATURES)


def test_an_unknown_request_that_asks_for_no_answer_is_passed_over(talk: Conversation) -> None:
    assert isinstance(talk.say(1000, flags=0), events.Refused)
    assert talk.backend.data_to_send() == b""


def test_a_running_ring_is_not_set_up_again(talk: Conversation) -> None:
    set_up_ring(talk)
    talk.agree(Request.SET_VRING_ENABLE, ring(0, 1))
    talk.refused(Request.SET_VRING_NUM, ring(0, 64))
    talk.refused(Request.SET_VRING_BASE, ring(0, 1))
    talk.refused(Request.SET_VRING_ADDR, messages.RingAddresses(0, 0, 0, 0, 0, 0).encode())
    talk.refused(Request.SET_FEATURES, messages.encode_u64(PROTOCOL_BIT | 1))


def test_features_may_be_repeated_while_a_ring_runs(talk: Conversation) -> None:
    talk.agree(Request.SET_FEATURES, messages.encode_u64(PROTOCOL_BIT | 1))
    set_up_ring(talk)
    talk.agree(Request.SET_VRING_ENABLE, ring(0, 1))
    talk.agree(Request.SET_FEATURES, messages.encode_u64(PROTOCOL_BIT | 1))
    assert talk.backend.rings[0].ready


def test_the_adapter_may_refuse(talk: Conversation) -> None:
    talk.say(Request.SET_FEATURES, messages.encode_u64(1))
    talk.backend.refuse()
    assert talk.answer() == (2, FAILED)


# ---- descriptors


def test_descriptors_that_nobody_wants_are_closed(talk: Conversation, descriptor: int) -> None:
    talk.agree(Request.SET_OWNER, descriptors=[descriptor])
    assert not is_open(descriptor)


def test_regions_and_descriptors_must_be_as_many(talk: Conversation, descriptor: int) -> None:
    region = RegionDescription(0, 0x1000, 0, 0)
    payload = messages.encode_memory_table((region, region._replace(guest_address=0x1000)))
    talk.refused(Request.SET_MEM_TABLE, payload, [descriptor])
    assert not is_open(descriptor)


def test_a_flood_of_descriptors_ends_the_conversation(talk: Conversation) -> None:
    flood = [os.memfd_create("flood") for _ in range(messages.MAX_DESCRIPTORS + 1)]
    with pytest.raises(ConversationError):
        talk.backend.receive(b"\0", flood)
    assert not any(map(is_open, flood))


def test_closing_closes_what_was_not_handed_over(talk: Conversation, descriptor: int) -> None:
    talk.backend.receive(b"\0", [descriptor])
    talk.backend.close()
    assert not is_open(descriptor)


# ---- memory slots, byte order, status


def test_regions_come_and_go_one_by_one(talk: Conversation, descriptor: int) -> None:
    assert talk.say(Request.GET_MAX_MEM_SLOTS, flags=0) is None
    assert talk.answer() == (36, messages.encode_u64(32))
    region = RegionDescription(0x1000, 0x2000, 0x7000, 0x3000)
    added = talk.agree(Request.ADD_MEM_REG, messages.encode_region(region), [descriptor])
    assert isinstance(added, events.RegionAdded)
    assert added.region == region
    assert added.descriptor.fileno() == descriptor
    added.descriptor.close()
    stray = os.memfd_create("stray")  # as some front-ends send it
    removed = talk.agree(Request.REM_MEM_REG, messages.encode_region(region), [stray])
    assert removed == events.RegionRemoved(region)
    assert not is_open(stray)


def test_a_region_without_its_file_is_refused(talk: Conversation) -> None:
    region = messages.encode_region(RegionDescription(0, 0x1000, 0, 0))
    assert "descriptor" in talk.refused(Request.ADD_MEM_REG, region)
    assert "bytes" in talk.refused(Request.REM_MEM_REG, region[:-1])


@pytest.mark.statement("LEG-STATS-1")
def test_a_ring_is_in_the_byte_order_that_is_said_until_it_ends(talk: Conversation) -> None:
    talk.agree(Request.SET_VRING_ENDIAN, ring(1, messages.RING_BIG_ENDIAN))
    assert [one.byteorder for one in talk.backend.rings] == [
        "little",
        "big",
        *["little"] * 3,
    ]
    assert "order 2" in talk.refused(Request.SET_VRING_ENDIAN, ring(1, 2))
    set_up_ring(talk, 1)
    talk.agree(Request.SET_VRING_ENABLE, ring(1, 1))
    assert "running" in talk.refused(Request.SET_VRING_ENDIAN, ring(1, 0))
    talk.say(Request.GET_VRING_BASE, ring(1, 0), flags=0)
    talk.backend.reply_ring_base(0)
    assert talk.backend.rings[1].byteorder == "little"


def status(talk: Conversation) -> int:
    assert talk.say(Request.GET_STATUS, flags=0) is None
    request, payload = talk.answer()
    assert request == Request.GET_STATUS
    return messages.decode_u64(payload)


@pytest.mark.statement("ST-DEV-3")
def test_st_dev_3_status_is_what_was_written_and_0_is_a_reset(talk: Conversation) -> None:
    assert status(talk) == 0
    talk.agree(Request.SET_STATUS, messages.encode_u64(11))
    assert status(talk) == 11
    set_up_ring(talk)
    talk.agree(Request.SET_VRING_ENABLE, ring(0, 1))
    assert talk.agree(Request.SET_STATUS, messages.encode_u64(0)) == events.DeviceReset()
    assert status(talk) == 0
    assert not talk.backend.running
    assert "status" in talk.refused(Request.SET_STATUS, messages.encode_u64(256))


@pytest.mark.statement("ST-DRV-4")
def test_features_ok_stays_away_where_the_features_were_refused(talk: Conversation) -> None:
    talk.refused(Request.SET_FEATURES, messages.encode_u64(1 << 20))
    talk.agree(Request.SET_STATUS, messages.encode_u64(11))
    assert status(talk) == 3
    talk.agree(Request.SET_FEATURES, messages.encode_u64(PROTOCOL_BIT))
    assert status(talk) == 11


@pytest.mark.statement("ST-DEV-2")
def test_st_dev_2_a_device_that_cannot_go_on_says_so_until_it_is_reset(talk: Conversation) -> None:
    assert not talk.backend.need_reset()  # nobody asks for the status
    talk.agree(Request.SET_STATUS, messages.encode_u64(0))
    talk.agree(Request.SET_PROTOCOL_FEATURES, messages.encode_u64(PROTOCOL_FEATURES))
    talk.agree(Request.SET_STATUS, messages.encode_u64(15))
    assert talk.backend.need_reset()
    assert not talk.backend.need_reset()
    assert status(talk) == 15 | 64
    talk.agree(Request.SET_STATUS, messages.encode_u64(0))
    assert status(talk) == 0


# ---- framing


@pytest.mark.parametrize(
    "header",
    [
        (1, 0, 0),  # version 0
        (1, 2, 0),  # version 2
        (1, 1 | messages.FLAG_REPLY, 0),
        (1, 1, 4097),
        (1, 1, 2**31),
    ],
)
def test_a_broken_header_ends_the_conversation_for_good(
    talk: Conversation, header: tuple[int, int, int]
) -> None:
    talk.backend.receive(messages._HEADER.pack(*header))
    for _ in range(2):
        with pytest.raises(ConversationError):
            talk.backend.next_event()
        talk.backend.receive(messages.encode(1))


def test_a_request_whose_answer_cannot_say_no_ends_the_conversation(talk: Conversation) -> None:
    for _ in range(2):  # at once, and at every call after it
        with pytest.raises(ConversationError):
            talk.say(Request.GET_VRING_BASE, ring(9, 0))


def test_no_byte_of_the_next_message_is_desired(talk: Conversation) -> None:
    message = messages.encode(Request.SET_FEATURES, messages.encode_u64(0))
    assert talk.backend.bytes_desired() == 12
    talk.backend.receive(message[:5])
    assert talk.backend.bytes_desired() == 7
    talk.backend.receive(message[5:12])
    assert talk.backend.next_event() is None
    assert talk.backend.bytes_desired() == 8
    talk.backend.receive(message[12:])
    assert isinstance(talk.backend.next_event(), events.FeaturesSet)
    talk.backend.accept()
    assert talk.backend.bytes_desired() == 12


# ---- the caller's mistakes


def test_an_event_must_be_answered_before_the_next(talk: Conversation) -> None:
    talk.say(Request.SET_FEATURES, messages.encode_u64(0))
    with pytest.raises(UsageError):
        talk.backend.next_event()


def test_answers_belong_to_their_requests(talk: Conversation) -> None:
    with pytest.raises(UsageError):
        talk.backend.accept()
    talk.say(Request.GET_CONFIG, ConfigPart(0, 0, bytes(4)).encode())
    with pytest.raises(UsageError):
        talk.backend.accept()
    with pytest.raises(UsageError):
        talk.backend.reply_ring_base(0)


@pytest.mark.parametrize("size", [0, 257])
def test_the_configuration_space_has_a_sensible_size(size: int) -> None:
    with pytest.raises(UsageError):
        Backend(features=0, ring_count=1, config_size=size)
