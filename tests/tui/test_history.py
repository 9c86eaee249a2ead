"""What a view remembers."""

from collections.abc import Callable

from aerostat.daemon.snapshot import GuestRow, MoveRow, Snapshot
from aerostat.tui.history import SPAN, ViewState
from aerostat.units import MIB


def test_a_sparkline_holds_a_minute_and_no_more(
    guest: Callable[..., GuestRow], snapshot: Callable[..., Snapshot]
) -> None:
    state = ViewState()
    for second in range(200):
        state.add(snapshot(guest(demand=second * MIB), time=1000.0 + second))
    assert state.elapsed == 199.0
    points = state.points["qmp:/run/web.sock"]
    assert points[-1].time - points[0].time < SPAN
    levels = [spark.level for spark in state.sparks("qmp:/run/web.sock", 12) if spark]
    assert len(levels) == 12
    assert levels == sorted(levels)
    assert levels[-1] == 199 / 512


def test_columns_stay_in_place_while_time_passes_within_one(
    guest: Callable[..., GuestRow], snapshot: Callable[..., Snapshot]
) -> None:
    state = ViewState()
    for second in range(960, 1000):
        state.add(snapshot(guest(demand=(second % 7) * 50 * MIB), time=float(second)))
    state.add(snapshot(guest(demand=0), time=1000.0))
    before = state.sparks("qmp:/run/web.sock", 12)
    state.add(snapshot(guest(demand=0), time=1004.9))
    assert state.sparks("qmp:/run/web.sock", 12)[:-1] == before[:-1]


def test_a_tick_slower_than_a_column_leaves_no_holes(
    guest: Callable[..., GuestRow], snapshot: Callable[..., Snapshot]
) -> None:
    state = ViewState()
    for tick in range(10):
        state.add(snapshot(guest(), time=1000.0 + 5.0 * tick))
    sparks = state.sparks("qmp:/run/web.sock", 24)
    seen = [place for place, spark in enumerate(sparks) if spark]
    assert seen == list(range(seen[0], 24))


def test_without_a_demand_what_is_held_is_drawn(
    guest: Callable[..., GuestRow], snapshot: Callable[..., Snapshot]
) -> None:
    state = ViewState()
    state.add(snapshot(guest(demand=None, held=256 * MIB, pressure=None)))
    assert state.sparks("qmp:/run/web.sock", 1) == [(0.5, 0.0)]


def test_a_guest_that_left_is_forgotten(
    guest: Callable[..., GuestRow], snapshot: Callable[..., Snapshot]
) -> None:
    state = ViewState()
    state.add(snapshot(guest("one"), guest("two")))
    state.add(snapshot(guest("two"), time=1001.0))
    assert list(state.points) == ["qmp:/run/two.sock"]
    assert state.sparks("qmp:/run/one.sock", 3) == [None, None, None]


def test_moves_are_kept_and_bounded(
    snapshot: Callable[..., Snapshot], move: Callable[..., MoveRow]
) -> None:
    state = ViewState()
    for second in range(100):
        state.add(snapshot(time=1000.0 + second), [move(time=1000.0 + second)])
    assert len(state.moves) == 50
    assert state.moves[-1].time == 1099.0
