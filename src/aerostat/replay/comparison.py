"""Decisions compared: whether they are the recorded ones, and where others would first differ.

Pure; texts are for people, `to_json` for programs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from aerostat.daemon.journal.recording import Decided
from aerostat.daemon.names import clean_name, clean_text
from aerostat.engine.observation import BoolArray
from aerostat.engine.plan import Plan, Reason
from aerostat.replay.steps import Replayed, Replayer
from aerostat.replay.times import exact_time, range_text
from aerostat.units import format_size

NOT_KNOWN = (
    "What would have followed is not known: the recording shows the world as the recorded policy"
    " made it."
)


class Decision(NamedTuple):
    """What was decided for one guest at one step. `target_size` is None for no move; bytes."""

    target_size: int | None
    reason: str
    sentence: str

    @classmethod
    def of(cls, plan: Plan, row: int) -> "Decision":
        """Return what `plan` decides for the guest in `row`."""
        reason = Reason(int(plan.reason[row])).name.lower()
        return cls(_size(plan.target_size[row]), reason, clean_text(plan.sentence(row)))

    @classmethod
    def recorded(cls, decided: Decided, row: int) -> "Decision":
        """Return what was recorded; the sentence was not."""
        return cls(_size(decided.target_size[row]), decided.reason[row], "")

    def words(self) -> str:
        """Return it in a line."""
        to = "no move" if self.target_size is None else f"to {format_size(self.target_size)}"
        return f"{to}: {self.sentence or self.reason.replace('_', ' ')}"


class Difference(NamedTuple):
    """The first step at which two decisions about a guest differ, in wall seconds."""

    wall: float
    key: str
    name: str
    size: int | None
    """What the guest had."""
    one: Decision
    other: Decision


@dataclass(slots=True)
class Comparison:
    """What a replay came to. `only` is the key of the one guest to look at, or None."""

    only: str | None = None
    steps: int = 0
    compared: int = 0
    """Steps whose decisions were recorded."""
    identical: int = 0
    skipped: int = 0
    states: int = 0
    unlike_states: int = 0
    failures: int = 0
    """Steps at which the other policy failed, and the engine's own was asked instead."""
    problem: str = ""
    began: float | None = None
    ended: float | None = None
    runs: set[int] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)
    unlike: set[str] = field(default_factory=set)
    """Settings that only one of the two engines knows."""
    names: dict[str, str] = field(default_factory=dict)
    unlike_recorded: dict[str, Difference] = field(default_factory=dict)
    """Each guest's first decision that is not the recorded one."""
    unlike_other: dict[str, Difference] = field(default_factory=dict)
    """Each guest's first decision that the other policy would have made otherwise."""
    differences: dict[str, int] = field(default_factory=dict)
    """At how many steps the other policy's was another, by guest."""

    def add(self, replayed: Replayed) -> None:
        """Take in a step."""
        seen = replayed.tick.observation
        self.steps += 1
        self.began = seen.wall if self.began is None else self.began
        self.ended = seen.wall
        self.runs.add(replayed.run.id)
        self.versions.add(replayed.run.version)
        self.unlike.update(replayed.run.unlike)
        names = seen.names or seen.guests.keys
        self.names |= dict(zip(seen.guests.keys, names, strict=True))
        if replayed.identical is not None:
            self.compared += 1
            self.identical += replayed.identical
        for row in self._rows(replayed.plan, replayed.unlike_recorded()):
            recorded = replayed.tick.decided
            if recorded is not None and replayed.plan.keys[row] not in self.unlike_recorded:
                one, other = Decision.recorded(recorded, row), Decision.of(replayed.plan, row)
                self._note(self.unlike_recorded, replayed, row, one, other)
        for row in self._rows(replayed.plan, replayed.unlike_other()):
            key = replayed.plan.keys[row]
            self.differences[key] = self.differences.get(key, 0) + 1
            if replayed.other is not None and key not in self.unlike_other:
                one, other = Decision.of(replayed.plan, row), Decision.of(replayed.other, row)
                self._note(self.unlike_other, replayed, row, one, other)

    def finish(self, replayer: Replayer) -> None:
        """Take in what the replayer counted."""
        self.skipped = replayer.skipped
        self.states = replayer.states
        self.unlike_states = replayer.unlike_states
        self.failures, self.problem = replayer.failures, replayer.problem

    @property
    def faithful(self) -> bool:
        """Whether nothing that was recorded was decided otherwise now."""
        return self.identical == self.compared and not self.unlike_states

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON encoder; times are wall seconds, sizes bytes."""
        return {
            "steps": self.steps,
            "compared": self.compared,
            "identical": self.identical,
            "skipped": self.skipped,
            "states_compared": self.states,
            "states_identical": self.states - self.unlike_states,
            "began": self.began,
            "ended": self.ended,
            "runs": len(self.runs),
            "versions": sorted(self.versions),
            "settings_unlike": sorted(self.unlike),
            "failures": self.failures,
            "problem": clean_text(self.problem) if self.problem else None,
            "unlike_recorded": [_plain(one) for one in self.unlike_recorded.values()],
            "unlike_other": [
                _plain(one) | {"steps": self.differences[one.key]}
                for one in self.unlike_other.values()
            ],
        }

    def _rows(self, plan: Plan, unlike: BoolArray) -> Iterable[int]:
        rows = (int(row) for row in np.flatnonzero(unlike))
        return (row for row in rows if self.only in (None, plan.keys[row]))

    def _note(
        self,
        where: dict[str, Difference],
        replayed: Replayed,
        row: int,
        one: Decision,
        other: Decision,
    ) -> None:
        key = replayed.plan.keys[row]
        size = _size(replayed.plan.guest_size[row])
        wall = replayed.tick.observation.wall
        where[key] = Difference(wall, key, clean_name(self.names[key]), size, one, other)


def faithful_lines(comparison: Comparison) -> list[str]:
    """Return what to say of the recorded policy, replayed."""
    if not comparison.steps:
        return ["nothing can be replayed: no state of the engine was kept in that time"]
    guests, runs = len(comparison.names), len(comparison.runs)
    when = range_text(comparison.began, comparison.ended)
    count = f"{guests} guest{_s(guests)}, {runs} run{_s(runs)}"
    lines = [f"{comparison.steps} steps, {when}: {count}"]
    if comparison.skipped:
        lines.append(f"{comparison.skipped} steps left out: nothing recorded leads to them")
    if not comparison.compared:
        lines.append("the decisions were not recorded (a journal of an earlier version)")
    elif comparison.faithful:
        states = f", and so is the engine's state at {comparison.states} moments"
        said = "every decision is" if comparison.compared > 1 else "the decision is"
        lines.append(f"{said} the recorded one, bit for bit{states if comparison.states else ''}")
    else:
        lines += _unfaithful_lines(comparison)
    return lines


def other_lines(comparison: Comparison, label: str) -> list[str]:
    """Return what to say of the other policy, which is called `label`."""
    first = comparison.unlike_other
    if not comparison.steps:
        return []
    failed = []
    if comparison.failures:
        often = f"{comparison.failures} of {comparison.steps} steps"
        why = clean_text(comparison.problem)
        failed = [f"{label} failed at {often}, and the engine's own policy decided instead: {why}"]
    if not first:
        return [*failed, f"{label} would have decided the same at every step"]
    lines = [
        *failed,
        f"with {label}, these are each guest's first decisions that would have been others:",
    ]
    for one in sorted(first.values(), key=lambda one: one.wall):
        count = comparison.differences[one.key]
        often = f"(another at {count} of {comparison.steps} steps)"
        lines += ["", f"{_moment(one)} {often}", *_sides(one, "other")]
    same = sorted(
        clean_name(name)
        for key, name in comparison.names.items()
        if key not in first and comparison.only in (None, key)
    )
    if same:
        lines += ["", f"no other decision: {', '.join(same)}"]
    return [*lines, "", NOT_KNOWN]


def _unfaithful_lines(comparison: Comparison) -> list[str]:
    other = comparison.compared - comparison.identical
    versions = ", ".join(sorted(comparison.versions))
    then = f"(recorded by version {versions})"
    lines = [f"{other} of {comparison.compared} steps are decided otherwise now {then}"]
    if comparison.unlike:
        lines.append(f"settings that only one of the two knows: {', '.join(comparison.unlike)}")
    if comparison.unlike_states:
        of = f"{comparison.unlike_states} of {comparison.states}"
        lines.append(f"the engine's state is another at {of} moments")
    for one in sorted(comparison.unlike_recorded.values(), key=lambda one: one.wall):
        lines += [_moment(one), *_sides(one, "now")]
    return lines


def _moment(one: Difference) -> str:
    size = "-" if one.size is None else format_size(one.size)
    return f"{one.name}, {exact_time(one.wall)}, having {size}"


def _sides(one: Difference, label: str) -> list[str]:
    return [f"  recorded  {one.one.words()}", f"  {label:<8}  {one.other.words()}"]


def _plain(one: Difference) -> dict[str, Any]:
    plain = one._asdict()
    return plain | {"one": one.one._asdict(), "other": one.other._asdict()}


def _size(value: float) -> int | None:
    return int(value) if np.isfinite(value) else None


def _s(count: int) -> str:
    return "" if count == 1 else "s"
