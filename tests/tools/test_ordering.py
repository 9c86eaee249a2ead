"""What is called a reordering is one."""

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from tools.ordering import reorderings  # noqa: E402 - needs the path above


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        ([0, 0, 0], [3, 3, 3], 0),  # one after the other
        ([1, 2, 3], [1, 2, 3], 0),  # in step
        ([0, 1, 2], [1, 2, 3], 0),
        ([0, 1, 2], [0, 1, 2], 3),  # neither ever sees the other's store of the same round
        ([0, 2, 3], [1, 1, 3], 0),
        ([1, 1, 3], [1, 1, 3], 1),
    ],
)
def test_two_loads_that_both_missed_a_store_are_a_reordering(
    first: list[int], second: list[int], count: int
) -> None:
    assert reorderings(np.array(first), np.array(second)) == count
