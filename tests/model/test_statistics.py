"""A guest's statistics are its state, tag by tag."""

from aerostat.balloon.statistics import Tag
from aerostat.model.state import State
from aerostat.model.statistics import statistics
from aerostat.units import MIB


def test_each_tag_is_what_its_name_says() -> None:
    state = State.boot([256 * MIB, 512 * MIB])
    state.swap_in[:] = 7.0
    state.oom_kills[1] = 3.0
    state.cache[:] = state.hot_cache[:] = state.dirty[:] = 10.0 * MIB
    small, large = statistics(state)
    assert small[Tag.FREE_MEMORY] == state.free[0]
    assert small[Tag.TOTAL_MEMORY] == state.total_memory[0]
    assert large[Tag.AVAILABLE_MEMORY] == state.available_memory[1]
    assert large[Tag.DISK_CACHES] == 30 * MIB
    assert (small[Tag.SWAP_IN], small[Tag.OOM_KILLS], large[Tag.OOM_KILLS]) == (7, 0, 3)
    assert small[Tag.HUGETLB_ALLOCATIONS] == small[Tag.HUGETLB_FAILURES] == 0
