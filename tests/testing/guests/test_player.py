"""What plays workloads inside guests: where it reads, and what it counts as lost."""

from pathlib import Path

import pytest

from aerostat.model.workload import Step, Workload
from aerostat.testing.guests.inside import workload as inside
from aerostat.testing.guests.inside.workload import CHUNK, TICK, Holding, Pattern, Player
from aerostat.units import MIB


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(inside, "time", made)
    return made


def player(step: Step, directory: Path, *, grow_rate: float = 40 * MIB) -> Player:
    """Return one that plays a single step, and has a file to read."""
    file = directory / "file"
    with file.open("wb") as empty:
        empty.truncate(64 * MIB)
    plan = Workload("one", (step,), grow_rate=grow_rate)
    return Player(plan, Holding(Pattern(str(directory), seed=1)), str(file), since=0.0)


def test_work_done_in_time_loses_nothing(tmp_path: Path, clock: Clock) -> None:
    playing = player(Step(0, 2 * CHUNK, read_rate=4 * MIB, read_span=8 * MIB), tmp_path)

    for _ in range(20):
        clock.now += TICK
        playing.tick()

    report = playing.report()
    assert report["lost"] == 0
    assert report["held"] == report["grown"] == 2 * CHUNK
    assert report["read"] == pytest.approx(8 * MIB, rel=0.05)
    assert report["damaged"] == 0


@pytest.mark.parametrize(
    "step", [Step(0, read_rate=1 * MIB, read_span=8 * MIB), Step(0, 8 * CHUNK)]
)
def test_what_falls_far_behind_is_lost(step: Step, tmp_path: Path, clock: Clock) -> None:
    playing = player(step, tmp_path)

    clock.now += 3.0
    playing.tick()

    # Half a second is made up for.
    assert playing.report()["lost"] == pytest.approx(2.5)


def test_the_more_skewed_the_reading_the_more_often_the_same_places(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[int] = []

    def preadv(_file: int, _buffers: object, offset: int) -> int:
        places.append(offset)
        return 1

    monkeypatch.setattr("os.preadv", preadv)
    for skew, share in ((1.0, 0.5), (2.0, 0.75), (3.0, 0.875)):
        step = Step(0, read_rate=16 * MIB, read_span=32 * MIB, skew=skew)
        playing = player(step, tmp_path)
        places.clear()
        for _ in range(80):
            clock.now += TICK
            playing.tick()

        # With half of the span in a cache, (1 - 1/2) ** skew of the reads would miss it.
        assert sum(place < 16 * MIB for place in places) / len(places) == pytest.approx(
            share, abs=0.03
        )
        assert max(places) < 32 * MIB
