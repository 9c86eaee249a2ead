"""The collector while a manager runs."""

import gc
import weakref

import pytest

from aerostat.daemon.garbage import Garbage
from aerostat.daemon.snapshot import Snapshot


class Knot:
    """Something that only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


def test_old_garbage_is_collected_after_a_tick_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("aerostat.daemon.garbage.time.monotonic", lambda: now)
    before = gc.get_threshold()
    with Garbage() as garbage:
        assert gc.get_threshold() != before
        knot = Knot()
        gc.collect(1)  # it is old now
        left = weakref.ref(knot)
        del knot
        gc.collect(1)
        now += 29
        garbage.saw(Snapshot(now, 0.0), ())
        assert left() is not None
        now += 1
        garbage.saw(Snapshot(now, 0.0), ())
        assert left() is None
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
