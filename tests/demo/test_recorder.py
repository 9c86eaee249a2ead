"""The picture of the liveliest moment."""

from collections.abc import Sequence

from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.demo.recorder import Recorder, liveliness
from aerostat.tui.history import ViewState
from aerostat.tui.sink import Sink


class Seen(Sink):
    def __init__(self) -> None:
        self.times: list[float] = []

    def show(self, snapshot: Snapshot, moves: Sequence[MoveRow] = ()) -> None:
        self.times.append(snapshot.time)


def move(key: str, change: int, time: float) -> MoveRow:
    return MoveRow(key, key, 1000, 1000 + change, "why", f"{key} moves", time, 0.0, "accepted")


def state(*moves: MoveRow, time: float = 10.0) -> ViewState:
    state = ViewState()
    state.add(Snapshot(0.0, 0.0))
    state.add(Snapshot(time, 0.0), moves)
    return state


def test_an_exchange_is_livelier_than_taking_alone() -> None:
    taking = state(move("a", -5, 9.0), move("b", -5, 9.0))
    exchange = state(move("a", -5, 9.0), move("b", 5, 9.0))
    assert liveliness(exchange) > liveliness(taking) > liveliness(state())


def test_old_moves_are_not_lively() -> None:
    assert liveliness(state(move("a", 5, 0.0), time=30.0)) == liveliness(state(time=30.0))


def test_where_nothing_happens_there_is_no_picture() -> None:
    with Recorder(Seen()) as recorder:
        recorder.show(Snapshot(1.0, 0.0))
    assert recorder.svg is None


def test_all_is_passed_on_and_the_best_is_kept() -> None:
    seen = Seen()
    recorder = Recorder(seen)
    with recorder:
        recorder.show(Snapshot(1.0, 0.0))
        recorder.show(Snapshot(2.0, 0.0), [move("a", -5, 2.0), move("b", 5, 2.0)])
        best = recorder.svg
        recorder.show(Snapshot(20.0, 0.0))
    assert seen.times == [1.0, 2.0, 20.0]
    assert best is not None
    assert "<svg" in best
    assert recorder.svg == best
