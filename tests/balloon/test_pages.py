"""Page frame numbers to ranges: nothing lost, nothing gained."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aerostat.balloon.pages import cut_ranges, merge_pfns, merge_ranges
from aerostat.balloon.statistics import Byteorder

PAGE = 4096


def pack(pfns: list[int], byteorder: Byteorder = "little") -> bytes:
    return b"".join(pfn.to_bytes(4, byteorder) for pfn in pfns)


@pytest.mark.parametrize(
    ("pfns", "ranges"),
    [
        ([], []),
        ([0], [(0, 1)]),
        ([0xFFFFFFFF], [(0xFFFFFFFF, 1)]),
        ([7, 8, 9], [(7, 3)]),
        ([9, 8, 7], [(7, 3)]),
        ([9, 7, 8, 9, 7], [(7, 3)]),
        ([1, 3, 2, 5, 9, 8], [(1, 3), (5, 1), (8, 2)]),
        ([0xFFFFFFFF, 0], [(0, 1), (0xFFFFFFFF, 1)]),
    ],
)
def test_ranges_are_sorted_and_merged(pfns: list[int], ranges: list[tuple[int, int]]) -> None:
    expected = [(first * PAGE, count * PAGE) for first, count in ranges]
    assert merge_pfns(pack(pfns)) == expected
    assert merge_pfns(pack(pfns, "big"), "big") == expected


@pytest.mark.parametrize("tail", [1, 2, 3])
def test_odd_bytes_at_the_end_are_ignored(tail: int) -> None:
    assert merge_pfns(pack([5, 6]) + b"\xff" * tail) == [(5 * PAGE, 2 * PAGE)]
    assert merge_pfns(b"\xff" * tail) == []


near = st.lists(st.integers(0, 40), max_size=60)
far = st.lists(st.integers(0, 0xFFFFFFFF), max_size=300)


@given(near | far, st.sampled_from(["little", "big"]))
@example(list(range(255, -1, -1)), "little")
@settings(max_examples=7 * settings().max_examples)
def test_the_pages_are_those_given_once_each(pfns: list[int], byteorder: Byteorder) -> None:
    ranges = merge_pfns(pack(pfns, byteorder), byteorder)
    pages = [
        page for start, size in ranges for page in range(start // PAGE, (start + size) // PAGE)
    ]
    assert pages == sorted(set(pfns))
    assert all(start % PAGE == size % PAGE == 0 and size > 0 for start, size in ranges)
    # Merged: between two ranges there is a gap.
    assert all(start + size < after for (start, size), (after, _) in pairwise(ranges))


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=20)


def covered(ranges: list[tuple[int, int]]) -> list[int]:
    return [byte for start, size in ranges for byte in range(start, start + size)]


@given(spans, st.integers(1, 30))
@settings(max_examples=2 * settings().max_examples)
def test_ranges_are_merged_and_cut_and_nothing_is_lost(
    ranges: list[tuple[int, int]], size: int
) -> None:
    merged = merge_ranges(ranges)
    assert covered(merged) == sorted(set(covered(ranges)))
    assert all(start + length < after for (start, length), (after, _) in pairwise(merged))
    groups = list(cut_ranges(merged, size))
    assert covered([part for group in groups for part in group]) == covered(merged)
    sizes = [sum(length for _, length in group) for group in groups]
    assert all(one == size for one in sizes[:-1])
    assert all(0 < one <= size for one in sizes[-1:])
