"""A set of ranges against a set of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from aerostat.balloon.range_set import RangeSet

ranges = st.tuples(st.integers(0, 60), st.integers(-1, 12))


@given(st.lists(ranges, max_size=30))
def test_what_was_added_is_there_in_the_fewest_ranges(added: list[tuple[int, int]]) -> None:
    found, expected = RangeSet(100), set[int]()
    for address, length in added:
        assert found.add(address, length)
        expected |= set(range(address, address + length))
    listed = found.ranges()
    assert {n for address, length in listed for n in range(address, address + length)} == expected
    assert found.size == len(expected)
    assert len(found) == len(listed)
    ends = [address + length for address, length in listed]
    assert all(end < address for end, (address, _) in zip(ends, listed[1:], strict=False))


def test_what_there_is_no_room_for_is_left_out() -> None:
    found = RangeSet(2)
    assert found.add(0, 10)
    assert found.add(20, 10)
    assert not found.add(40, 10)
    assert found.ranges() == [(0, 10), (20, 10)]
    assert found.add(10, 10)  # closes a gap, and makes room
    assert found.add(40, 10)
    assert found.ranges() == [(0, 30), (40, 10)]
    assert found.size == 40
    found.clear()
    assert (found.ranges(), found.size, len(found)) == ([], 0, 0)
