"""The balloon's numbers, its configuration space, and whose queue is which."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.balloon.abi import (
    FREE_PAGE_HINT,
    MUST_TELL_HOST,
    PAGE_REPORTING,
    STATS_VQ,
    Config,
    Queue,
    number_queues,
)
from aerostat.virtio.features import bit

STATS, HINT, REPORTING = bit(STATS_VQ), bit(FREE_PAGE_HINT), bit(PAGE_REPORTING)
ALL = STATS | HINT | REPORTING


@pytest.mark.parametrize(
    ("offered", "negotiated", "configured", "expected"),
    [
        # Everything offered is accepted: all dense rules agree.
        (0, 0, {0, 1}, "INFLATE DEFLATE"),
        (STATS, STATS, {0, 1, 2}, "INFLATE DEFLATE STATS"),
        (ALL, ALL, {0, 1, 2, 3, 4}, "INFLATE DEFLATE STATS HINT REPORTING"),
        # Linux: dense over what was negotiated. Nothing to tell by, too, before it begins.
        (ALL, HINT | REPORTING, {0, 1, 2, 3}, "INFLATE DEFLATE HINT REPORTING"),
        (ALL, REPORTING, {0, 1, 2}, "INFLATE DEFLATE REPORTING"),
        (ALL, REPORTING, set(), "INFLATE DEFLATE REPORTING"),
        # QEMU: dense over what was offered.
        (STATS | REPORTING, REPORTING, {0, 1, 3}, "INFLATE DEFLATE - REPORTING"),
        (ALL, STATS | REPORTING, {0, 1, 2, 4}, "INFLATE DEFLATE STATS - REPORTING"),
        # The specification's table.
        (REPORTING, REPORTING, {0, 1, 4}, "INFLATE DEFLATE - - REPORTING"),
        (STATS | REPORTING, STATS | REPORTING, {0, 1, 2, 4}, "INFLATE DEFLATE STATS - REPORTING"),
        # A driver that leaves queues alone, and one that makes no sense.
        (ALL, STATS | REPORTING, {0, 2}, "INFLATE DEFLATE STATS REPORTING"),
        (REPORTING, REPORTING, {0, 4}, "INFLATE DEFLATE - - REPORTING"),
        (STATS, STATS, {0, 1, 7}, "INFLATE DEFLATE STATS"),
    ],
)
def test_queues_are_numbered_by_the_rule_that_fits(
    offered: int, negotiated: int, configured: set[int], expected: str
) -> None:
    names = enumerate(expected.split())
    wanted = {index: Queue[name] for index, name in names if name != "-"}
    must_tell = bit(MUST_TELL_HOST)  # has no queue, and so moves none
    assert number_queues(offered | must_tell, negotiated | must_tell, configured) == wanted


def test_config_fields_lie_where_the_specification_puts_them() -> None:
    config = Config()
    config.num_pages, config.cmd_id = 0x01020304, 0x090A0B0C
    config.write(4, bytes.fromhex("08070605"))
    config.write(12, bytes.fromhex("100f0e0d"), poison=True)
    assert config.read(0, 16).hex(" ", 4) == "04030201 08070605 0c0b0a09 100f0e0d"
    assert (config.actual, config.poison_val) == (0x05060708, 0x0D0E0F10)


@pytest.mark.statement("CFG-G-3")
def test_cfg_g_3_reads_beyond_the_end_are_zeros_of_the_size_asked_for() -> None:
    config = Config()
    config.write(12, b"\xff" * 4, poison=True)
    assert config.read(14, 6) == b"\xff\xff\0\0\0\0"
    assert config.read(16, 2) == b"\0\0"
    assert config.read(300, 1) == b"\0"
    assert config.read(0, 0) == b""


@pytest.mark.statement("CFG-2")
def test_cfg_2_only_actual_is_taken_from_a_write_of_the_whole_space() -> None:
    """QEMU sends the whole space back, with a stale target in it."""
    config = Config()
    config.num_pages, config.cmd_id = 100, 7
    config.write(0, bytes.fromhex("11111111 22222222 33333333 44444444"))
    assert config.read(0, 16) == space(100, 0x22222222, 7, 0)


def space(*fields: int) -> bytes:
    return b"".join(field.to_bytes(4, "little") for field in fields)


@pytest.mark.statement("DRV-POISON-2")
def test_drv_poison_2_poison_val_is_taken_where_it_was_negotiated() -> None:
    config = Config()
    config.write(0, bytes.fromhex("11111111 22222222 33333333 44444444"), poison=True)
    assert config.poison_val == 0x44444444
    assert config.num_pages == config.cmd_id == 0


@pytest.mark.statement("LEG-OP-3")
def test_leg_op_3_actual_counts_when_its_last_byte_is_written() -> None:
    config = Config()
    for offset, byte in ((4, b"\x78"), (5, b"\x56"), (6, b"\x34")):
        config.write(offset, byte)
        assert config.actual == 0
    config.write(7, b"\x12")
    assert config.actual == 0x12345678


@pytest.mark.statement("LEG-OP-2")
def test_leg_op_2_actual_comes_whole_in_one_write() -> None:
    config = Config()
    config.write(4, (300).to_bytes(4, "little"))
    assert config.actual == 300


@given(st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=24))), st.booleans())
@settings(max_examples=3 * settings().max_examples)
def test_writes_of_any_part_touch_only_what_is_the_drivers(
    writes: list[tuple[int, bytes]], poison: bool
) -> None:
    config = Config()
    config.num_pages, config.cmd_id = 0xA5A5A5A5, 0x5A5A5A5A
    shadow = bytearray(config.read(0, 16))
    for offset, data in writes:
        config.write(offset, data, poison=poison)
        for position, byte in enumerate(data, offset):
            if 4 <= position < 8 or (poison and 12 <= position < 16):
                shadow[position] = byte
    assert config.read(0, 16) == shadow
    if not poison:
        assert config.poison_val == 0
    config.reset()
    assert config.read(0, 16) == space(0xA5A5A5A5, 0, 0x5A5A5A5A, 0)
