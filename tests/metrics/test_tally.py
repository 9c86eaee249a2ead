"""What is counted from tick to tick."""

from dataclasses import replace

from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.metrics.tally import CYCLE_BUCKETS, Decision, Tally


def move(from_size: int, to_size: int, reason: str, outcome: str) -> MoveRow:
    return MoveRow("k", "n", from_size, to_size, reason, "", 0.0, 0.0, outcome)


def test_moves_are_counted_by_action_reason_and_outcome(snapshot: Snapshot) -> None:
    tally = Tally()
    grow, shrink = move(1, 2, "grow_need", "accepted"), move(2, 1, "shrink_idle", "failed: no")
    tally.watch(snapshot, [grow, grow, shrink])

    assert tally.decisions == {
        Decision("grow", "grow_need", "accepted"): 2,
        Decision("shrink", "shrink_idle", "failed"): 1,
    }


def test_a_cycle_is_counted_once_where_its_duration_belongs(snapshot: Snapshot) -> None:
    tally = Tally()
    for tick, seconds in enumerate((0.001, 0.0011, 99.0), start=1):
        for _ in range(2):  # shown again, for a reason of its own
            tally.watch(replace(snapshot, tick=tick, tick_duration=seconds), [])

    assert tally.cycles == [1, 1] + [0] * (len(CYCLE_BUCKETS) - 2) + [1]
    assert tally.cycle_seconds == 0.001 + 0.0011 + 99.0


def test_a_copy_stays_as_it_is(snapshot: Snapshot) -> None:
    tally = Tally()
    copy = tally.copy()
    tally.watch(snapshot, [move(1, 2, "grow_need", "accepted")])

    assert not copy.decisions
    assert sum(copy.cycles) == 0
