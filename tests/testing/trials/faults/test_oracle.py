"""A promise that was broken is found out, each by itself."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aerostat.daemon.journal.reading import Tick
from aerostat.daemon.journal.recording import Decided, Observation
from aerostat.daemon.snapshot import GuestRow, MoveRow, Snapshot
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.state import State
from aerostat.testing.trials.faults.oracle import (
    PROMISES,
    Books,
    Darkness,
    is_well,
    moved,
    mute,
    neglected,
)
from aerostat.units import MIB

KEYS = ("a", "b")
GUARANTEE = 64.0 * MIB
NAN = float("nan")


def tick(
    number: int,
    sizes: tuple[float, float] = (160, 160),
    targets: tuple[float, float] = (NAN, NAN),
    *,
    held: tuple[float, float] = (100, 100),
    ages: tuple[float, float] = (0.1, 0.1),
    reason: str = "content",
    budget: float = 300,
    run: int = 1,
    state: State | None = None,
) -> Tick:
    """Return one tick a second; sizes in MiB."""

    def column(values: Iterable[float], unit: float = MIB) -> Any:
        return np.array([value * unit for value in values])

    time = float(number)
    guests = Guests.of(
        KEYS,
        max_size=column((160, 160)),
        guest_size=column(sizes),
        held=column(held),
        sample_time=time - column(ages, 1.0),
        guarantee=np.full(2, GUARANTEE),
    )
    hosts = Hosts.of(("here",), budget=column((budget,)), available=column((1000,)))
    decided = Decided(
        target_size=column(targets),
        reason=(reason, reason),
        condition=("fresh", "fresh"),
        demand=column((50, 50)),
        pressure=column((0, 0)),
    )
    seen = Observation(time, time, hosts, guests, KEYS)
    return Tick(number, run, number, seen, 0.01, decided, state, "")


def broken(
    *ticks: Tick,
    darkness: tuple[Darkness, ...] = (),
    entitled: dict[tuple[float, str], int] | None = None,
    manages: bool = True,
) -> list[str]:
    return [one.promise for one in Books(manages).reckon(ticks, darkness, entitled)]


def test_all_is_well() -> None:
    shrinks = tick(1, targets=(150, NAN), reason="shrink_idle")
    arrives = tick(2, sizes=(150, 160))
    grows = tick(3, sizes=(130, 130), targets=(150, 140), reason="grow_need")
    assert broken(shrinks, arrives, grows) == []


def test_a_target_below_the_guarantee() -> None:
    assert broken(tick(1, targets=(63, NAN), reason="shrink_idle")) == ["guarantee"]
    assert broken(tick(1, targets=(64, NAN), reason="shrink_idle")) == []


def test_a_grant_that_nothing_covers() -> None:
    full: dict[str, Any] = {"held": (150, 140), "budget": 290, "reason": "grow_need"}
    assert broken(tick(1, (150, 140), (NAN, 160), **full)) == ["ledger"]
    assert broken(tick(1, (150, 140), (NAN, 160), **full | {"budget": 330})) == []
    # What the guests hold is no more than the budget, what they may use is.
    spare = full | {"held": (100, 100)}
    assert broken(tick(1, (150, 140), (NAN, 160), **spare)) == []


def test_what_was_granted_is_not_there_twice() -> None:
    def grant(number: int, size: float, target: float, held: float, run: int = 1) -> Tick:
        sizes, targets = (160.0, size), (NAN, target)
        return tick(
            number, sizes, targets, held=(160, held), reason="grow_need", budget=220, run=run
        )

    once = grant(1, 80, 110, 30)
    assert broken(once) == []
    assert broken(once, grant(2, 110, 140, 30)) == ["ledger"]
    # The next life of a manager has to know it, too.
    assert broken(once, grant(2, 110, 140, 30, run=2)) == ["ledger"]
    # What only looks has granted nothing.
    assert broken(once, grant(2, 80, 110, 30), manages=False) == []


def test_a_gap_in_the_journal_is_no_broken_promise() -> None:
    def state(asked: float) -> State:
        return replace(
            State.empty(),
            keys=KEYS,
            asked=np.array([NAN, asked * MIB]),
            granted=np.zeros(2),
        )

    grown = tick(1, (160, 80), (NAN, 150), held=(160, 80), reason="grow_need", budget=310)
    later = tick(
        4, (160, 80), (NAN, 110), held=(160, 80), reason="grow_need", budget=270, state=state(80)
    )
    assert broken(grown, later) == []


def test_a_squeeze_in_the_dark() -> None:
    seen = tick(1)
    old: dict[str, Any] = {"ages": (8.0, 0.1), "sizes": (160, 160), "targets": (120, NAN)}
    entitled = {(9.0, "a"): 120 * MIB}
    assert broken(seen, tick(9, reason="shrink_idle", **old), entitled=entitled) == ["darkness"]
    assert broken(seen, tick(9, reason="shrink_blind", **old), entitled=entitled) == []
    assert broken(seen, tick(9, reason="withdraw", **old), entitled=entitled) == []
    too_far = old | {"targets": (110, NAN)}
    assert broken(seen, tick(9, reason="shrink_blind", **too_far), entitled=entitled) == [
        "darkness"
    ]
    # What was said last is remembered, though the device has nobody to ask any more.
    silent = old | {"ages": (NAN, 0.1)}
    assert broken(seen, tick(4, reason="shrink_idle", **silent)) == []
    assert broken(seen, tick(9, reason="shrink_idle", **silent)) == ["darkness"]


def test_figures_of_one_who_could_not_speak() -> None:
    stopped = (Darkness("a", 3.0, 6.0),)
    assert broken(tick(5, ages=(0.5, 0.1)), darkness=stopped) == ["honesty"]
    assert broken(tick(5, ages=(2.5, 0.1)), darkness=stopped) == []
    assert broken(tick(5, ages=(0.5, 0.1)), darkness=(Darkness("c", 3.0, 6.0),)) == []
    assert broken(tick(7, ages=(0.5, 0.1)), darkness=stopped) == []


def move(**changes: Any) -> MoveRow:
    row = MoveRow("a", "a", 2, 1, "shrink_idle", "gives 1 B", 1.0, 1.0, "accepted")
    return replace(row, **changes)


@pytest.mark.parametrize("what", ["reason", "sentence", "outcome"])
def test_a_move_without_a_reason(what: str) -> None:
    assert [one.promise for one in mute([move(**{what: ""})])] == ["reasons"]
    assert not [*mute([move()])]


def test_an_observer_that_moves_somebody() -> None:
    assert [one.promise for one in moved([move()])] == ["observing"]
    assert not [*moved([move(outcome="observed")])]


def snapshot(**changes: Any) -> Snapshot:
    row = GuestRow("a", "a", "", guest_size=1, sample_age=2.0, condition="fresh")
    return Snapshot(10.0, 10.0, guests=(replace(row, **changes),))


def test_a_guest_of_which_sight_was_lost() -> None:
    assert not [*neglected([snapshot()], ["a"], 5.0)]
    assert not [*neglected([snapshot(error="late for once")], ["a"], 5.0)]
    for changes in ({"sample_age": 6.0}, {"sample_age": None}):
        assert [one.promise for one in neglected([snapshot(**changes)], ["a"], 5.0)] == ["others"]
    assert [one.promise for one in neglected([snapshot()], ["a", "b"], 5.0)] == ["others"]
    assert not [*neglected([snapshot(sample_age=6.0)], [], 5.0)]


def test_when_all_is_well_again() -> None:
    assert is_well(snapshot(), ["a"], 7.5)
    assert not is_well(snapshot(), ["a"], 8.5)
    assert not is_well(snapshot(), ["a", "b"], 0.0)
    for changes in ({"sample_age": None}, {"error": "no answer"}, {"guest_size": None}):
        assert not is_well(snapshot(**changes), ["a"], 0.0)


def test_each_promise_is_said_in_words() -> None:
    assert all(words.strip() for words in PROMISES.values())
