"""Replayed decisions are the recorded ones, bit for bit, or it is said where they are not."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aerostat.daemon.journal.reading import JournalReader
from aerostat.daemon.journal.recording import pack_state, unpack_state
from aerostat.engine.conditions import Condition
from aerostat.engine.settings import Settings
from aerostat.errors import UsageError
from aerostat.replay.comparison import Comparison, faithful_lines, other_lines
from aerostat.replay.policies import MODES, change_of, guide_of
from aerostat.replay.steps import Change, Replayed, Replayer

SOME = 20
"""Ticks that are enough where it does not matter which."""


def replayed(path: Path, change: Change | None = None, last: int | None = None) -> Comparison:
    with JournalReader(path) as reader:
        replayer, comparison = Replayer(reader.runs(), change), Comparison()
        for tick in reader.ticks(1, last):
            step = replayer.feed(tick)
            if step is not None:
                comparison.add(step)
        comparison.finish(replayer)
        return comparison


def steps(path: Path, change: Change | None) -> list[Replayed]:
    with JournalReader(path) as reader:
        replayer = Replayer(reader.runs(), change)
        done = (replayer.feed(tick) for tick in reader.ticks(1, SOME))
        return [one for one in done if one is not None]


def alter(path: Path, *statements: str) -> None:
    file = sqlite3.connect(path)
    with file:
        for statement in statements:
            file.execute(statement)
    file.close()


def numbers(path: Path, query: str) -> list[int]:
    file = sqlite3.connect(path)
    try:
        return [int(row[0]) for row in file.execute(query)]
    finally:
        file.close()


def test_decisions_are_the_recorded_ones_bit_for_bit_over_a_restart(journal: Path) -> None:
    comparison = replayed(journal)
    assert comparison.steps == comparison.compared == comparison.identical > 45
    assert comparison.skipped == 0
    assert len(comparison.runs) == 2
    assert comparison.faithful
    with JournalReader(journal) as reader:
        moved = [tick for tick in reader.ticks() if tick.decided and tick.decided.target_size.any()]
        assert {tick.run for tick in moved} == {1, 2}  # there was something to be identical about
        kept = [tick for tick in reader.ticks() if tick.state is not None]
        assert [tick.why for tick in kept] == ["begin", "begin"]
        # The second manager began with what the first had learned.
        second = kept[1].state
        assert second is not None
        assert second.keys == ("fake:web", "fake:db")


def test_an_observers_decisions_too(write_journal: Callable[..., Path]) -> None:
    path = write_journal(manage=False, ticks=8)
    comparison = replayed(path)
    assert comparison.faithful
    assert comparison.compared > 15
    with JournalReader(path) as reader:
        assert not any(run.manage for run in reader.runs().values())
        assert {move.outcome for move in reader.moves()} == {"observed"}


def test_what_is_fed_otherwise_is_decided_otherwise_and_told(copied: Path) -> None:
    # The same figures, but as if the second manager had known the balloons to be useless.
    with JournalReader(copied) as reader:
        (_, tick) = [tick for tick in reader.ticks() if tick.state is not None]
    assert tick.state is not None
    other = replace(
        tick.state,
        condition=np.full(2, float(Condition.USELESS)),
        condition_since=np.full(2, tick.observation.time),
    )
    file = sqlite3.connect(copied)
    with file:
        file.execute("UPDATE states SET columns = ? WHERE tick = ?", (pack_state(other), tick.id))
    file.close()
    comparison = replayed(copied)
    assert not comparison.faithful
    assert 0 < comparison.identical < comparison.compared
    text = "\n".join(faithful_lines(comparison))
    assert "are decided otherwise now (recorded by version" in text
    assert "  recorded  " in text


def test_a_state_that_was_kept_on_the_way_is_compared(copied: Path) -> None:
    with JournalReader(copied) as reader:
        replayer = Replayer(reader.runs())
        for tick in reader.ticks(1, SOME):
            replayer.feed(tick)
        here = replayer._state
    assert here is not None
    file = sqlite3.connect(copied)
    with file:
        file.execute(
            "INSERT INTO states VALUES (?, 'due', ?)",
            (
                SOME + 1,
                pack_state(here),
            ),
        )
    comparison = replayed(copied, last=SOME + 2)
    assert (comparison.states, comparison.unlike_states) == (1, 0)
    assert "so is the engine's state at 1 moments" in "\n".join(faithful_lines(comparison))
    with file:
        other = replace(here, demand=here.demand + 1.0)
        file.execute("UPDATE states SET columns = ? WHERE tick = ?", (pack_state(other), SOME + 1))
    file.close()
    comparison = replayed(copied, last=SOME + 2)
    assert (comparison.states, comparison.unlike_states) == (1, 1)
    assert not comparison.faithful


def test_after_a_gap_nothing_is_guessed(copied: Path) -> None:
    alter(copied, "DELETE FROM ticks WHERE id BETWEEN 11 AND 14")
    comparison = replayed(copied)
    second = numbers(copied, "SELECT max(tick) FROM states")[0]
    assert comparison.skipped == second - 15
    assert comparison.faithful
    assert f"{comparison.skipped} steps left out" in "\n".join(faithful_lines(comparison))


def test_another_policy_is_asked_in_the_situation_that_there_was(journal: Path) -> None:
    comparison = replayed(journal, MODES["density"])
    assert comparison.faithful  # the recorded one is as it was
    first = comparison.unlike_other["fake:db"]
    assert first.one.target_size != first.other.target_size
    lines = other_lines(comparison, "density")
    assert lines[-1].startswith("What would have followed is not known")
    assert any(line.startswith("  other     to ") for line in lines)
    assert comparison.differences["fake:db"] < comparison.steps  # at others the two agree


def test_the_same_policy_decides_the_same(journal: Path) -> None:
    comparison = replayed(journal, MODES["need"], SOME)
    assert comparison.unlike_other == {}
    assert other_lines(comparison, "need") == ["need would have decided the same at every step"]


def test_what_the_other_would_have_learned_is_its_own(journal: Path) -> None:
    """A setting that only changes what is learned over time shows, in the world that there was."""
    change = change_of(None, ["reaction_time=6", "growth_memory=1000"])
    done = steps(journal, change)
    last = done[-1]
    assert last.other is not None
    # Of what both have, the larger growth of one claims more.
    assert (last.other.reserve != last.plan.reserve).any()
    np.testing.assert_array_equal(last.other.asked, last.plan.asked)


def test_changes() -> None:
    settings = Settings()
    assert change_of(None, []) is None
    change = change_of("density", ["cooldown=30", "reserve_floor=64MiB"])
    assert change is not None
    changed = change(settings)
    assert (changed.mode, changed.cooldown, changed.reserve_floor) == ("density", 30.0, 64 << 20)
    assert changed.shrink_rate == settings.shrink_rate


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("cooldwn=1", "no such setting: cooldwn; did you mean cooldown"),
        ("cooldown", "not SETTING=VALUE: 'cooldown'"),
        ("cooldown=soon", "cooldown takes a number from 0 on, not 'soon'"),
        ("cooldown=-1", "takes a number from 0 on"),
        ("cooldown=inf", "takes a number from 0 on"),
        ("mode=wish", "mode is need or density"),
        ("reserve_floor=lots", "not a size"),
    ],
)
def test_wrong_changes(assignment: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        change_of(None, [assignment])


def test_a_policy_that_there_is_not() -> None:
    with pytest.raises(UsageError, match=r"no such policy: wish; .*\(or a mode: need, density\)"):
        guide_of("wish")


def test_a_state_comes_back_as_it_was(journal: Path) -> None:
    with JournalReader(journal) as reader:
        states = [tick.state for tick in reader.ticks() if tick.state is not None]
    again = unpack_state(pack_state(states[1]))
    assert again.to_dict() == states[1].to_dict()
    with pytest.raises(UsageError, match="cannot be read"):
        unpack_state(b"no state")
