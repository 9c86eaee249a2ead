"""Messages to bytes and back; what cannot be decoded is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import (
    ConfigPart,
    Header,
    PayloadError,
    RegionDescription,
    RingAddresses,
    RingState,
)

u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
regions = st.builds(RegionDescription, u64, u64, u64, u64)


def test_a_message_is_twelve_bytes_of_header_and_its_payload() -> None:
    message = messages.encode(messages.Request.SET_FEATURES, messages.encode_u64(5), flags=8)
    assert message == struct.pack("=IIIQ", 2, 0x9, 8, 5)
    assert Header.decode(message[:12]) == Header(2, 0x9, 8)


@given(index=u32, value=u32)
def test_ring_states_survive(index: int, value: int) -> None:
    state = RingState(index, value)
    assert RingState.decode(state.encode()) == state


@given(st.builds(RingAddresses, u32, u32, u64, u64, u64, u64))
def test_ring_addresses_survive(addresses: RingAddresses) -> None:
    assert RingAddresses.decode(addresses.encode()) == addresses


def test_the_used_ring_comes_before_the_available_ring() -> None:
    payload = struct.pack("=IIQQQQ", 1, 0, 0xD, 0xA, 0xB, 0)
    addresses = RingAddresses.decode(payload)
    assert (addresses.descriptors, addresses.used, addresses.available) == (0xD, 0xA, 0xB)


@given(offset=u32, flags=u32, data=st.binary(max_size=256))
def test_configuration_survives(offset: int, flags: int, data: bytes) -> None:
    part = ConfigPart(offset, flags, data)
    assert ConfigPart.decode(part.encode()) == part


@given(st.lists(regions, min_size=1, max_size=messages.MAX_REGIONS))
def test_memory_tables_survive(table: list[RegionDescription]) -> None:
    assert messages.decode_memory_table(messages.encode_memory_table(tuple(table))) == tuple(table)


def test_a_memory_table_may_have_room_to_spare() -> None:
    region = RegionDescription(0x1000, 0x2000, 0x3000, 0x4000)
    payload = messages.encode_memory_table((region,)) + bytes(32)
    assert messages.decode_memory_table(payload) == (region,)


@pytest.mark.parametrize("count", [0, 2, 9, 2**32 - 1])
def test_a_memory_table_with_a_wrong_count_is_refused(count: int) -> None:
    payload = struct.pack("=II", count, 0) + bytes(32)
    with pytest.raises(PayloadError):
        messages.decode_memory_table(payload)


@given(st.binary(max_size=400))
def test_any_bytes_decode_or_are_refused(payload: bytes) -> None:
    for decode in (
        RingState.decode,
        RingAddresses.decode,
        ConfigPart.decode,
        messages.decode_u64,
        messages.decode_memory_table,
    ):
        try:
            decode(payload)
        except PayloadError:
            pass
        else:
            assert len(payload) >= 8


@pytest.mark.parametrize("size", [0, 7, 9, 16])
def test_a_number_has_eight_bytes(size: int) -> None:
    with pytest.raises(PayloadError):
        messages.decode_u64(bytes(size))


@pytest.mark.parametrize("announced", [3, 5, 2**32 - 1])
def test_configuration_of_another_size_than_announced_is_refused(announced: int) -> None:
    with pytest.raises(PayloadError):
        ConfigPart.decode(struct.pack("=III", 0, announced, 0) + b"abcd")
