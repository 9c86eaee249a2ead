"""Moments as users write them, lengths of time as they are shown, round figures for scales."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.errors import UsageError
from aerostat.replay.axes import size_marks, time_marks
from aerostat.replay.times import duration_text, exact_time, parse_moment, range_text
from aerostat.units import GIB, MIB

NOON = datetime(2026, 11, 23, 12, 0, 0).timestamp()  # noqa: DTZ001 - local, as users mean it


@pytest.mark.parametrize(
    ("text", "before"),
    [("now", 0), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172800)],
)
def test_durations_count_back(text: str, before: float) -> None:
    assert parse_moment(text, NOON) == NOON - before


def test_moments_of_a_clock() -> None:
    assert parse_moment("2026-11-23 12:00", 0.0) == NOON
    assert parse_moment("11:45", NOON) == NOON - 900
    assert parse_moment("12:15", NOON) == NOON + 900 - 86400  # yesterday's


@pytest.mark.parametrize("text", ["", "soon", "10", "10 apples", "25:99", "1h x"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="not a time"):
        parse_moment(text, NOON)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.96, "10 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (3599.8, "1 h"),
        (5400, "1 h 30 min"),
        (90000, "1 d 1 h"),
        (864000, "10 d"),
    ],
)
def test_lengths(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_ranges() -> None:
    assert range_text(NOON, NOON + 60) == "2026-11-23 12:00:00 to 12:01:00"
    assert range_text(NOON, NOON + 86400) == f"2026-11-23 12:00:00 to {exact_time(NOON + 86400)}"
    assert range_text(None, NOON) == "at no time"


@given(st.floats(1, 1e15), st.integers(2, 12))
def test_scales_of_sizes_reach_far_enough_in_few_steps(highest: float, count: int) -> None:
    marks = size_marks(highest, count)
    assert marks[0].place == 0
    assert marks[-1].place >= highest * (1 - 1e-9)
    assert len(marks) <= count + 1


def test_scales_are_round() -> None:
    assert [mark.text for mark in size_marks(GIB, 5)][1:] == [
        "256 MiB", "512 MiB", "768 MiB", "1.0 GiB",
    ]  # fmt: skip
    assert [mark.text for mark in size_marks(3 * MIB, 5)] == ["0 B", "1 MiB", "2 MiB", "3 MiB"]


@given(st.floats(0, 4e9), st.floats(0.5, 1e8), st.integers(1, 20))
def test_scales_of_time_stay_within(since: float, length: float, count: int) -> None:
    marks = time_marks(since, since + length, count)
    assert all(since - 1e-3 <= mark.place <= since + length for mark in marks)
    assert len(marks) <= count + 1
