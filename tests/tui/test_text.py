"""Short figures: what they say, and that they never outgrow their column."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.tui.text import clock, short_age, short_rate, short_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "-"),
        (math.nan, "-"),
        (0, "0"),
        (512, "512B"),
        (384 << 20, "384M"),
        (1000 << 20, "0.98G"),
        (5 << 28, "1.25G"),
        (3 << 29, "1.5G"),
        (48 << 30, "48G"),
        (1 << 53, "8.0P"),
        (-(2 << 20), "-2M"),
    ],
)
def test_a_size_in_binary_units(size: float | None, text: str) -> None:
    assert short_size(size) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [(None, "-"), (0.0, "0"), (0.4, "0.4"), (123.4, "123"), (12_345.0, "12k"), (999.6, "1k")],
)
def test_a_rate(rate: float | None, text: str) -> None:
    assert short_rate(rate) == text


@pytest.mark.parametrize(
    ("age", "text"),
    [(None, "-"), (math.inf, "-"), (-1.0, "0.0s"), (0.34, "0.3s"), (12.2, "12s"), (300, "5m")],
)
def test_an_age(age: float | None, text: str) -> None:
    assert short_age(age) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "00:00"), (151.9, "02:31"), (3751, "1:02:31")])
def test_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@given(st.floats(min_value=0, max_value=2.0**53))
def test_a_size_fits_its_column(size: float) -> None:
    assert len(short_size(size)) <= 5


@given(st.floats(min_value=0, max_value=1e12), st.floats(min_value=0, max_value=1e9))
def test_rates_and_ages_fit_their_columns(rate: float, age: float) -> None:
    assert len(short_rate(rate)) <= 5
    assert len(short_age(age)) <= 4
