"""What was promised, held against what was seen of a trial. Pure."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from aerostat.daemon.snapshot import GuestRow, HostRow, Snapshot
from aerostat.engine.accounts import SETTLED
from aerostat.testing.trials.house import Record
from aerostat.testing.trials.plan import GUARANTEE
from aerostat.units import MIB, format_size


class Verdict(NamedTuple):
    """One promise: whether it was kept, and what was seen, in words."""

    promise: str
    kept: bool
    seen: str


def judge(record: Record) -> list[Verdict]:
    """Return what became of each promise."""
    return [
        _nobody_was_killed(record),
        _the_guarantee(record),
        _the_ledger(record),
        _every_move_explained(record),
        _it_can_be_done_again(record),
        _nobody_waits(record),
        _the_work_was_done(record),
    ]


def _nobody_was_killed(record: Record) -> Verdict:
    killed = {name: count for name, count in record.oom_kills.items() if count != 0}
    troubles = [f"{name}: {count} processes" for name, count in killed.items()]
    troubles += [f"{name} has ended" for name in record.ended]
    seen = "; ".join(troubles) or f"{len(record.oom_kills)} guests, all unharmed"
    return Verdict("no guest's kernel killed for want of memory", not troubles, seen)


def _the_guarantee(record: Record) -> Verdict:
    rows = [row for snapshot in record.snapshots for row in snapshot.guests]
    sizes = [(row.guest_size, row.name) for row in rows if row.guest_size is not None]
    least, who = min(sizes)
    asked = [move for move in record.moves if move.to_size < GUARANTEE]
    kept = least >= GUARANTEE - SETTLED and not asked
    seen = f"the least was {format_size(least)} ({who}), of {format_size(GUARANTEE)} guaranteed"
    if asked:
        seen += f"; {len(asked)} requests below it"
    return Verdict("no guest under its guarantee", kept, seen)


def _the_ledger(record: Record) -> Verdict:
    """See that between two ticks permissions grow only into what was free, or really there."""
    steps = [pair for life in record.lives for pair in pairwise(life) if _same_guests(*pair)]
    beyond = [max(0, _grew(*pair) - _covered(*pair)) for pair in steps]
    slack = SETTLED * len(record.plan.residents)
    worst = max(beyond, default=0)
    peak = max(_held(snapshot) for snapshot in record.snapshots)
    seen = f"{len(steps)} steps, at most {format_size(worst)} beyond; held at most "
    seen += f"{format_size(peak)} of {format_size(record.plan.budget)}"
    return Verdict("permissions never grow beyond the ledger", worst <= slack, seen)


def _same_guests(one: Snapshot, other: Snapshot) -> bool:
    return {(row.key, row.max_size) for row in one.guests} == {
        (row.key, row.max_size) for row in other.guests
    } and bool(one.hosts and other.hosts)


def _grew(one: Snapshot, other: Snapshot) -> int:
    return _permitted(other.hosts) - _permitted(one.hosts)


def _permitted(hosts: Sequence[HostRow]) -> int:
    return hosts[0].permitted or 0


def _covered(one: Snapshot, other: Snapshot) -> int:
    """Return by how much permissions may grow: to the budget, or into what is not held."""
    before, after = one.hosts[0], other.hosts[0]
    room = (after.budget or 0) - (before.permitted or 0)
    backed = min((before.budget or 0) - (before.held or 0), before.available or 0)
    return max(0, room, backed - (before.granted or 0))


def _held(snapshot: Snapshot) -> int:
    return snapshot.hosts[0].held or 0 if snapshot.hosts else 0


def _every_move_explained(record: Record) -> Verdict:
    mute = [move for move in record.moves if not (move.reason and move.sentence and move.outcome)]
    unanswered = [name for name, said in record.explained.items() if said.startswith("error")]
    seen = f"{len(record.moves)} moves, {len(mute)} without a reason"
    if unanswered:
        seen += f"; no explanation for {', '.join(unanswered)}"
    kept = bool(record.moves) and not mute and not unanswered
    return Verdict("every move is explained", kept, seen)


def _it_can_be_done_again(record: Record) -> Verdict:
    last = record.replay.strip().splitlines() or ["it said nothing"]
    return Verdict("the journal, replayed, decides the same", record.replayed, last[0])


def _nobody_waits(record: Record) -> Verdict:
    """See that hostile guests cost nobody else a tick, or the freshness of its figures."""
    ticks = sorted(snapshot.tick_duration for snapshot in record.snapshots)
    late = ticks[int(0.99 * (len(ticks) - 1))]
    honest = {one.name for one in record.plan.residents if one.conduct == "honest"}
    # After a start each guest has to be met first.
    settled = [snapshot for life in record.lives for snapshot in life[10:]]
    ages = sorted(
        row.sample_age
        for snapshot in settled
        for row in snapshot.guests
        if row.name in honest and row.sample_age is not None
    )
    age = ages[int(0.99 * (len(ages) - 1))] if ages else float("inf")
    kept = late <= record.plan.interval and age <= 5.0 + record.plan.interval
    seen = f"99 of 100 ticks took at most {late:.2f} s; honest guests' figures were at most "
    return Verdict("hostile guests delay nobody", kept, f"{seen}{age:.1f} s old (99 of 100)")


def _the_work_was_done(record: Record) -> Verdict:
    """Ask for enough to have happened: a trial without needs or lies would show nothing."""
    moved = sum(abs(move.to_size - move.from_size) for move in record.moves)
    hung = any(row.failures for row in _rows(record, "hangs"))
    kept = moved > record.plan.memory // 4 and hung and record.lies > 0
    kept = kept and len(record.deaths) == len(record.plan.deaths)
    seen = f"{format_size(moved // MIB * MIB)} moved, {record.lies} lies told, the manager killed "
    seen += f"{len(record.deaths)} times, {'a' if hung else 'no'} monitor hung"
    return Verdict("there was something to do", kept, seen)


def _rows(record: Record, conduct: str) -> Iterator[GuestRow]:
    names = {one.name for one in record.plan.residents if one.conduct == conduct}
    for snapshot in record.snapshots:
        yield from (row for row in snapshot.guests if row.name in names)
