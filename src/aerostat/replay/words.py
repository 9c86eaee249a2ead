"""What `explain` says: figures behind a decision, and a guest's timeline, as lines of text. Pure.

The figures come in the shape of `Manager.explain_values`, from a manager or from a journal.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aerostat.daemon.names import clean_name, clean_text
from aerostat.engine.accounts import SETTLED
from aerostat.replay.timeline import ACCEPTED, Entry, Happened, Moved, Turned
from aerostat.replay.times import duration_text, exact_time, time_of_day
from aerostat.units import format_size

_WAYS = {"queue": "by the statistics queue", "agent": "by the guest agent"}
_LABEL = 10
_SERIES = 5.0
"""Seconds within which a move goes on with the one before."""


def figure_lines(values: Mapping[str, Any]) -> list[str]:
    """Return a line each for sample, estimates, bounds, decision and outcome."""
    said = {
        "sample": _sample(values.get("sample") or {}),
        "estimates": _estimates(values.get("estimates")),
        "bounds": _bounds(values.get("bounds") or {}),
        "decision": _decision(values.get("decision")),
        "outcome": _outcome(values.get("outcome")),
    }
    return [f"{label:<{_LABEL}} {text}" for label, text in said.items() if text]


def _sample(sample: Mapping[str, Any]) -> str:
    figures = sample.get("statistics") or {}
    available = sample.get("available_memory", figures.get("available_memory"))
    free = sample.get("free_memory", figures.get("free_memory"))
    age = sample.get("sample_age")
    parts = [
        f"{_size(sample.get('guest_size'))} of {_size(sample.get('max_size'))}",
        _said("{} held on the host", sample.get("held")),
        _said("{} available", available) or _said("{} free", free),
        "no figures yet" if age is None else f"{duration_text(max(age, 0.0))} old",
        _WAYS.get(str(sample.get("way")), ""),
    ]
    return _joined(parts)


def _estimates(estimates: Mapping[str, Any] | None) -> str:
    if estimates is None:
        return "none: there is no step of the engine to look at"
    pressure, confidence = estimates.get("pressure"), estimates.get("confidence")
    parts = [
        _said("{} in use", estimates.get("demand")),
        _said("{} to stay in reserve", estimates.get("reserve")),
        _said("wants {}", estimates.get("want")),
        "" if pressure is None else f"pressure {pressure:.0%}",
        "" if confidence is None else f"confidence {confidence:.0%}",
    ]
    return _joined(parts)


def _bounds(bounds: Mapping[str, Any]) -> str:
    parts = [
        _said("guarantee {}", bounds.get("guarantee")),
        _said("entitled to {}", bounds.get("entitlement")),
        _said("ceiling {}", bounds.get("ceiling")),
        _said("set to {} by an operator", bounds.get("pinned")),
        "" if bounds.get("managed", True) else "not to be managed",
        "held by an operator" if bounds.get("held_by_operator") else "",
    ]
    return _joined(parts)


def _decision(decision: Mapping[str, Any] | None) -> str:
    if decision is None:
        return ""
    target, asked = decision.get("target_size"), decision.get("asked")
    since = decision.get("condition_since")
    for_long = "" if since is None else f" for {duration_text(max(since, 0.0))}"
    to = "no move" if target is None else f"to {_size(target)}"
    parts = [
        f"{to} ({decision.get('reason')})",
        _said("{} asked before and not reached yet", asked) if target is None else "",
        f"condition {decision.get('condition')}{for_long}",
    ]
    return _joined(parts)


def _outcome(outcome: Mapping[str, Any] | None) -> str:
    if outcome is None:
        return ""
    move = outcome.get("last_move")
    if move is None:
        return "it has not been moved yet"
    age = outcome.get("last_move_age")
    when = "last move" if age is None else f"last move {duration_text(age)} ago"
    speed_up, speed_down = outcome.get("speed_up"), outcome.get("speed_down")
    parts = [
        f"{when}: {clean_text(move.get('sentence', ''))}; {clean_text(move.get('outcome', ''))}",
        _said("its balloon gives back {} a second", speed_up),
        _said("and takes {} a second", speed_down),
    ]
    return _joined(parts)


def timeline_lines(entries: Sequence[Entry], since: float, until: float) -> list[str]:
    """Return the timeline of a time (wall seconds), the oldest first."""
    if not entries:
        return [f"nothing happened to it in the last {duration_text(until - since)}"]
    lines = [f"since {exact_time(max(since, entries[0].wall))}:"]
    for one in _in_series(entries):
        lines += _entry_lines(one)
    return lines


def _in_series(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Yield entries; moves that go on one after another, for one reason, are one series."""
    series: list[Entry] = []
    for entry in entries:
        if series and not _goes_on(series[-1], entry):
            yield series
            series = []
        series.append(entry)
    if series:
        yield series


def _goes_on(last: Entry, entry: Entry) -> bool:
    if not isinstance(last, Moved) or not isinstance(entry, Moved):
        return False
    one, other = last.move, entry.move
    same = (one.reason, one.outcome) == (other.reason, other.outcome)
    return same and entry.wall - last.wall <= _SERIES


def _entry_lines(series: Sequence[Entry]) -> Iterator[str]:
    entry, last = series[0], series[-1]
    when = exact_time(entry.wall)
    match entry:
        case Turned():
            yield f"{when}  turns from {entry.before} to {entry.after}"
        case Happened():
            yield f"{when}  manager: {clean_text(f'{entry.what}: {entry.text}')}"
        case Moved():
            assert isinstance(last, Moved)
            yield f"{when}  {clean_text(entry.move.sentence)}"
            if len(series) > 1:
                more = f"{len(series) - 1} more such move{'' if len(series) == 2 else 's'}"
                yield f"{'':21}and {more} until {time_of_day(last.wall)}"
            yield f"{'':21}{_asked(entry, last)}"
            if entry.estimates is not None:
                yield f"{'':21}{_estimates(entry.estimates)}"


def _asked(first: Moved, entry: Moved) -> str:
    """Return what was asked by a series of moves, and what came of the last one."""
    move = entry.move
    outcome = clean_text(move.outcome)
    way = f"{_size(first.move.from_size)} -> {_size(move.to_size)}, {outcome}"
    if move.outcome != ACCEPTED:
        return way
    return _joined([way, _reached(entry), _gained(first, entry)])


def _reached(entry: Moved) -> str:
    move = entry.move
    if entry.reached_after is not None:
        return f"reached within {duration_text(entry.reached_after)}"
    if entry.last_size is None:
        return "what came of it is not recorded"
    short = abs(entry.last_size - move.to_size)
    if abs(entry.last_size - move.from_size) <= SETTLED:
        return f"not moved within {duration_text(entry.watched)}"
    return f"{_size(short)} short of it after {duration_text(entry.watched)}"


def _gained(first: Moved, last: Moved) -> str:
    if first.held_before is None or last.held_after is None:
        return ""
    change = last.held_after - first.held_before
    if abs(change) <= SETTLED:
        return "the host holds as much as before"
    return f"the host holds {_size(abs(change))} {'more' if change > 0 else 'less'}"


def _joined(parts: Sequence[str]) -> str:
    return ", ".join(part for part in parts if part)


def _said(template: str, value: float | None) -> str:
    return "" if value is None else template.format(_size(value))


def _size(value: float | None) -> str:
    return "-" if value is None else format_size(value)


def name_of(values: Mapping[str, Any]) -> str:
    """Return the name of the guest that figures are of."""
    return clean_name(str(values.get("name", "?")))
