"""The statistics buffer, to and from bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.balloon.statistics import (
    MAX_ENTRIES,
    NAMES,
    QEMU_KEYS,
    Byteorder,
    Tag,
    encode,
    parse,
)
from aerostat.errors import UsageError

byteorders = st.sampled_from(["little", "big"])
statistics = st.dictionaries(
    st.integers(0, 0xFFFF), st.integers(0, (1 << 64) - 1), max_size=MAX_ENTRIES
)


def test_an_entry_is_ten_bytes_tag_first() -> None:
    assert encode({Tag.TOTAL_MEMORY: 0x0102030405060708}).hex() == "05000807060504030201"
    assert encode({Tag.TOTAL_MEMORY: 0x0102030405060708}, "big").hex() == "00050102030405060708"
    assert parse(bytes.fromhex("05000807060504030201")) == {5: 0x0102030405060708}


def test_tags_have_linuxs_numbers_and_the_houses_names() -> None:
    assert list(Tag) == list(range(16))
    assert NAMES[Tag.SWAP_IN] == "swap_in"
    assert NAMES[Tag.AVAILABLE_MEMORY] == "available_memory"
    assert NAMES[Tag.HUGETLB_ALLOCATIONS] == "hugetlb_allocations"
    assert NAMES[Tag(15)] == "direct_reclaims"


def test_qemu_keys_are_spelt_as_qemu_spells_them() -> None:
    keys = """
        stat-swap-in stat-swap-out stat-major-faults stat-minor-faults stat-free-memory
        stat-total-memory stat-available-memory stat-disk-caches stat-htlb-pgalloc
        stat-htlb-pgfail stat-oom-kills stat-alloc-stalls stat-async-scans stat-direct-scans
        stat-async-reclaims stat-direct-reclaims
    """
    assert [QEMU_KEYS[tag] for tag in Tag] == keys.split()


@given(statistics, byteorders)
@settings(max_examples=3 * settings().max_examples)
def test_what_is_encoded_is_parsed(values: dict[int, int], byteorder: Byteorder) -> None:
    assert parse(encode(values, byteorder), byteorder) == values


@given(st.binary(max_size=4000), byteorders)
@settings(max_examples=5 * settings().max_examples)
def test_any_bytes_parse(payload: bytes, byteorder: Byteorder) -> None:
    values = parse(payload, byteorder)
    assert len(values) <= min(len(payload) // 10, MAX_ENTRIES)
    assert all(0 <= tag <= 0xFFFF and 0 <= value < 1 << 64 for tag, value in values.items())


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 19, 20])
@pytest.mark.statement("DRV-STATS-5")
def test_drv_stats_5_an_incomplete_entry_is_left_out(length: int) -> None:
    payload = encode({4: 1, 5: 2})[:length]
    assert parse(payload) == dict([(4, 1), (5, 2)][: length // 10])


@pytest.mark.statement("DEV-STATS-1")
def test_dev_stats_1_unknown_tags_do_no_harm_and_are_kept() -> None:
    values = {16: 1, Tag.FREE_MEMORY: 2, 0x7FFF: 3, 0xFFFF: 4}
    assert parse(encode(values)) == values


@pytest.mark.statement("DEV-STATS-2")
def test_dev_stats_2_any_order_will_do() -> None:
    values = {int(tag): tag + 100 for tag in Tag}
    backwards = dict(reversed(values.items()))
    assert parse(encode(backwards)) == parse(encode(values)) == values


def test_of_duplicates_the_last_counts() -> None:
    assert parse(encode({4: 1}) + encode({5: 2}) + encode({4: 3})) == {4: 3, 5: 2}


def test_entries_beyond_the_bound_are_not_looked_at() -> None:
    payload = b"".join(encode({tag: tag}) for tag in range(MAX_ENTRIES + 1))
    assert MAX_ENTRIES not in parse(payload)
    assert MAX_ENTRIES - 1 in parse(payload)


@pytest.mark.parametrize("values", [{-1: 0}, {0x10000: 0}, {0: -1}, {0: 1 << 64}])
def test_impossible_values_cannot_be_encoded(values: dict[int, int]) -> None:
    with pytest.raises(UsageError):
        encode(values)
