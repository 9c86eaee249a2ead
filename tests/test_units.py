"""Sizes in and out."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.errors import UsageError
from aerostat.units import GIB, MIB, TIB, format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MiB", 512 * MIB),
        ("1.5 GiB", GIB + GIB // 2),
        (" 4g ", 4 * GIB),
        ("4096B", 4096),
        ("2TiB", 2 * TIB),
        ("0m", 0),
    ],
)
def test_a_size_has_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "512", "MiB", "-1MiB", "1MB", "1e3MiB", "\uff11MiB", "nanGiB"]
)
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="512MiB"):
        parse_size(text)


@given(st.text())
def test_no_text_makes_anything_but_a_size_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_size(text) >= 0


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (4096, "4 KiB"),
        (384 * MIB, "384 MiB"),
        (1023 * MIB, "1023 MiB"),
        (GIB, "1.0 GiB"),
        (GIB + GIB // 4, "1.25 GiB"),
        (21.44 * GIB, "21.4 GiB"),
        (1.5 * TIB, "1.5 TiB"),
        (-2 * MIB, "-2 MiB"),
        (math.nan, "-"),
        (math.inf, "-"),
    ],
)
def test_a_size_for_people(size: float, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, 1 << 60))
def test_what_people_read_is_nearly_what_was_meant(size: int) -> None:
    # Whole KiB and MiB are shown: at worst 1.5 of them.
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.34, abs=1)
