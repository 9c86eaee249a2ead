"""What drivers of other guests say of the same memory."""

import numpy as np
import pytest

from aerostat.balloon.statistics import Tag
from aerostat.model.dialects import TAGS, Dialect, tell
from aerostat.model.state import State
from aerostat.model.statistics import statistics
from aerostat.units import GIB, MIB


@pytest.fixture
def state() -> State:
    state = State.boot([GIB, 2 * GIB])
    state.cache[:] = 100.0 * MIB
    state.free -= 100.0 * MIB
    return state


@pytest.mark.parametrize("dialect", Dialect)
def test_each_sends_its_tags_and_nothing_else(dialect: Dialect, state: State) -> None:
    table = statistics(state)
    before = table.copy()
    told = tell(table, dialect, 60.0)
    sent = {int(tag) for tag in TAGS[dialect]}
    assert {tag for tag in range(16) if not np.isnan(told[:, tag]).any()} == sent
    assert {tag for tag in range(16) if np.isnan(told[:, tag]).all()} == set(range(16)) - sent
    assert np.array_equal(table, before)


@pytest.mark.parametrize("count", ["6", "10", "16"])
def test_linux_says_what_is_so(count: str, state: State) -> None:
    table = statistics(state)
    told = tell(table, Dialect(count))
    assert np.array_equal(told[:, : int(count)], table[:, : int(count)])


def test_windows_counts_its_cache_as_free(state: State) -> None:
    told = tell(statistics(state), Dialect.WINDOWS)
    assert (told[:, Tag.FREE_MEMORY] == state.free + 100 * MIB).all()
    assert (told[:, Tag.AVAILABLE_MEMORY] <= told[:, Tag.TOTAL_MEMORY]).all()


def test_a_liar_suffers_more_each_second(state: State) -> None:
    table = statistics(state)
    one, other = tell(table, Dialect.LIAR, 1.0), tell(table, Dialect.LIAR, 2.0)
    assert not one[:, [Tag.FREE_MEMORY, Tag.AVAILABLE_MEMORY]].any()
    for tag in (Tag.MAJOR_FAULTS, Tag.ALLOC_STALLS, Tag.DIRECT_SCANS, Tag.SWAP_OUT):
        assert (other[:, tag] > one[:, tag]).all()
    assert (one[:, Tag.TOTAL_MEMORY] == table[:, Tag.TOTAL_MEMORY]).all()
