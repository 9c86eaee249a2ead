"""Bars say the same with and without colours, and are exactly as wide as asked."""

from hypothesis import given
from hypothesis import strategies as st

from aerostat.tui.bars import Layer, Spark, gauge, layered_bar, size_bar, sparkline
from aerostat.units import GIB, MIB

sizes = st.floats(min_value=0, max_value=2.0**50)
maybe_sizes = st.none() | sizes


def bar(held: float, guest_size: float, target_size: float | None = None) -> str:
    text = size_bar(
        8, max_size=800 * MIB, guest_size=guest_size, held=held, target_size=target_size
    )
    return text.plain


def test_a_size_bar_shows_held_outstanding_and_balloon() -> None:
    assert bar(300 * MIB, 500 * MIB) == "▆▆▆▂▂···"


def test_a_target_is_marked_until_it_is_reached() -> None:
    assert bar(300 * MIB, 500 * MIB, 700 * MIB) == "▆▆▆▂▂··│"
    assert bar(300 * MIB, 500 * MIB, 500 * MIB) == "▆▆▆▂▂···"


def test_a_little_held_is_still_seen() -> None:
    assert bar(1, 500 * MIB).startswith("▆▂")


def test_a_guest_that_holds_more_than_its_size() -> None:
    assert bar(600 * MIB, 500 * MIB) == "▆▆▆▆▆▆··"


def test_an_unknown_guest_is_an_empty_bar() -> None:
    text = size_bar(5, max_size=None, guest_size=None, held=None, target_size=None)
    assert text.plain == "·····"


@given(st.integers(1, 60), maybe_sizes, maybe_sizes, maybe_sizes, maybe_sizes)
def test_a_size_bar_is_as_wide_as_asked(
    width: int,
    max_size: float | None,
    guest_size: float | None,
    held: float | None,
    target_size: float | None,
) -> None:
    text = size_bar(
        width, max_size=max_size, guest_size=guest_size, held=held, target_size=target_size
    )
    assert text.cell_len == width


@given(st.integers(1, 60), sizes, st.lists(sizes, max_size=5), maybe_sizes)
def test_a_layered_bar_is_as_wide_as_asked(
    width: int, whole: float, ends: list[float], mark: float | None
) -> None:
    text = layered_bar(width, whole, [Layer(end, ("#", "red")) for end in ends], mark)
    assert text.cell_len == width


@given(st.integers(6, 30), st.none() | st.floats(-1, 2))
def test_a_gauge_is_as_wide_as_asked(width: int, pressure: float | None) -> None:
    assert gauge(width, pressure).cell_len == width


def test_a_gauge_says_its_percentage_and_colours_it() -> None:
    calm, uneasy, hurt = gauge(11, 0.0), gauge(11, 0.3), gauge(11, 1.0)
    assert calm.plain == "······   0%"
    assert hurt.plain == "██████ 100%"
    assert [str(text.spans[0].style) for text in (uneasy, hurt)] == ["yellow", "bold red"]


def test_a_sparkline_rises_with_the_level_and_colours_pressure() -> None:
    columns = [None, *(Spark(level / 7, 0.0) for level in range(8)), Spark(2.0, 0.9)]
    text = sparkline(columns)
    assert text.plain == " ▁▂▃▄▅▆▇██"
    assert str(text.spans[-1].style) == "bold red"


def test_granted_memory_has_a_glyph_of_its_own() -> None:
    layers = [Layer(GIB, ("a", "")), Layer(2 * GIB, ("b", "")), Layer(3 * GIB, ("c", ""))]
    assert layered_bar(4, 4 * GIB, layers).plain == "abc·"
