"""Scales have all that they are to show, and few round marks."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.simulator.report import scales
from aerostat.simulator.report.scales import format_number, format_share
from aerostat.units import GIB, MIB

sensible = st.floats(1e-6, 1e12)


@given(sensible, st.integers(2, 8))
def test_numbers_fit_with_few_marks(highest: float, count: int) -> None:
    scale = scales.numbers(highest, count)

    assert scale.low == 0
    assert scale.high >= highest * (1 - 1e-9)
    assert 2 <= len(scale.marks) <= count + 2
    assert scale.place(0) == 0
    assert scale.place(scale.high) == 1


@given(st.floats(0, 1e6), st.floats(1, 1e6))
def test_numbers_may_begin_elsewhere(low: float, length: float) -> None:
    scale = scales.numbers(low + length, low=low)

    assert scale.low <= low + 1e-6 * (low + length)
    assert [mark.value for mark in scale.marks] == sorted({mark.value for mark in scale.marks})


@given(st.floats(0, 1))
def test_harm_has_a_mark_a_decade(harm: float) -> None:
    scale = scales.harms(harm)

    assert scale.high >= harm
    assert all(
        math.isclose(after.value, 10 * before.value)
        for before, after in zip(scale.marks, scale.marks[1:], strict=False)
    )
    assert 0 <= scale.place(harm) <= 1


@given(st.floats(1, 1e15))
def test_sizes_are_marked_in_powers_of_two(highest: float) -> None:
    scale = scales.sizes(highest)
    step = scale.marks[1].value

    assert scale.high >= highest * (1 - 1e-9)
    assert math.log2(step / MIB).is_integer()
    assert len(scale.marks) <= 7


@given(st.floats(1, 1e7))
def test_times_are_marked_in_one_unit(highest: float) -> None:
    scale = scales.seconds(highest)
    units = {mark.text.split()[1] for mark in scale.marks if mark.value}

    assert scale.high == highest
    assert len(units) <= 1
    assert len(scale.marks) <= 8


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0"), (1e-6, "< 0.01 %"), (0.0003, "0.03 %"), (0.0021, "0.21 %"), (0.02, "2 %"),
        (0.0213, "2.1 %"), (0.372, "37 %"), (1, "100 %"), (math.nan, "-"),
    ],
)  # fmt: skip
def test_shares_are_told_in_two_digits(share: float, words: str) -> None:
    assert format_share(share) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (0.8512, "0.851"), (12, "12"), (12300.4, "12,300"), (2.5e6, "2.5 M"),
     (7e9, "7 G"), (math.inf, "-")],
)  # fmt: skip
def test_numbers_are_told_in_few_digits(value: float, words: str) -> None:
    assert format_number(value) == words


def test_marks_of_sizes_have_no_needless_digits() -> None:
    assert [mark.text for mark in scales.sizes(40 * GIB).marks] == [
        "0", "8 GiB", "16 GiB", "24 GiB", "32 GiB", "40 GiB",
    ]  # fmt: skip
