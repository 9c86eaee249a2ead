"""What is compiled in the place of a function comes to the same bits."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.model import compiled, reclaim


@pytest.mark.parametrize("pages", [0.0, 1.0, 3.0, 2.0**40])
def test_whole_pages_stay_as_they_are(pages: float) -> None:
    amount = pages * PAGE_SIZE
    assert compiled._whole_pages(amount) == reclaim.whole_pages(amount) == amount


@given(st.floats(-(2.0**61), 2.0**61))
@example(-0.0)
@example(-1.0)
@example(PAGE_SIZE - 0.5)
def test_a_floor_that_is_a_float_at_once_comes_to_the_same(amount: float) -> None:
    ours, theirs = compiled._whole_pages(amount), reclaim.whole_pages(amount)
    assert ours == theirs
    assert math.copysign(1.0, ours) == math.copysign(1.0, theirs)
