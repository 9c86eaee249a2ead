"""A guest's statistics are its state, tag by tag."""

import pytest

from aerostat.balloon.statistics import Tag
from aerostat.model.columns import Columns
from aerostat.model.demand import Demand, Outcome
from aerostat.model.rows import DEMAND_ROWS, ROWS, STATE_ROWS
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


@pytest.mark.parametrize("table", [State, Demand, Outcome])
def test_every_row_of_a_record_has_one_name(table: type[Columns]) -> None:
    columns = table.blank(1)
    for row, name in enumerate(table.names):
        setattr(columns, name, float(row))
    assert columns.table[:, 0].tolist() == list(range(len(table.names)))
    assert table.FIRST + len(table.names) in (STATE_ROWS, STATE_ROWS + DEMAND_ROWS, ROWS)
