"""How a guest fares, from what was read of it. Pure: the facts are given."""

import re
from collections.abc import Iterator

from aerostat.doctor import mending
from aerostat.doctor.findings import Finding, Level
from aerostat.doctor.guest import GuestFacts
from aerostat.units import format_size

_SUFFERS = 0.5

# What each condition of the engine means to its operator.
_CONDITIONS = {
    "fresh": (Level.OK, "its figures are fresh"),
    "draining": (Level.OK, "it is on its way to the size that it was asked for"),
    "stale": (Level.WARNING, "its last figures are old; nothing is taken from it meanwhile"),
    "silent": (Level.WARNING, "it has sent no figures, or none for long; it is left as it is"),
    "implausible": (Level.WARNING, "its figures cannot be true, and are not acted upon"),
    "stuck": (Level.WARNING, "it was asked for memory, and its balloon did not move"),
    "useless": (Level.WARNING, "its balloon grew, and the host gained nothing"),
    "exempt": (Level.INFO, "it is not managed; the configuration says so"),
}
_MENDS = {
    "silent": mending.DRIVER,
    "stuck": "see in the guest whether it hangs, and that virtio_balloon is loaded",
    "implausible": "look into the guest: a driver that lies is broken, or is not to be trusted",
}
# Whose monitor it is that cannot be used, as errors put it.
_TAKEN = re.compile(r"another client|no more connections")
_NO_BALLOON = re.compile(r"no (virtio-)?balloon")
_FORBIDDEN = re.compile(r"[Pp]ermission denied|may not|not permitted")


def condition_findings(facts: GuestFacts) -> list[Finding]:
    """Return what the checks of how a guest fares come to."""
    if facts.row.condition == "unreachable":
        return list(_unreached(facts))
    return [
        *_reached(facts),
        *_condition(facts),
        *_distress(facts),
        *_guarantee(facts),
        *_held(facts),
    ]


def _found(
    facts: GuestFacts, check: str, level: Level, text: str, mend: str | None = None
) -> Finding:
    return Finding(facts.row.name, check, level, text, mend)


def _unreached(facts: GuestFacts) -> Iterator[Finding]:
    examination = facts.examination
    if examination and (examination.balloon is False or examination.running is False):
        return  # the reason, of which the set-up's own checks tell
    error = facts.row.error or facts.problem or "it has not answered yet"
    mend = None
    if _TAKEN.search(error):
        mend = mending.another_monitor(facts.row.source)
    elif _FORBIDDEN.search(error):
        mend = mending.access(facts.row.source, "aerostat")
    elif _NO_BALLOON.search(error):
        mend = mending.BALLOON
    yield _found(facts, "reached", Level.CRITICAL, f"it cannot be read: {error}", mend)


def _reached(facts: GuestFacts) -> Iterator[Finding]:
    row = facts.row
    if row.error is None:
        sizes = f"{format_size(row.guest_size or 0)} of {format_size(row.max_size or 0)}"
        yield _found(facts, "reached", Level.OK, f"it answers, and has {sizes}")
    else:
        text = f"it did not answer the last time: {row.error}"
        yield _found(facts, "reached", Level.WARNING, text)


def _condition(facts: GuestFacts) -> Iterator[Finding]:
    row = facts.row
    if row.condition == "silent" and not (facts.reports and facts.asked):
        return  # that no driver or no service is there, or nobody asks, is a check of its own
    level, text = _CONDITIONS.get(row.condition, (Level.OK, f"it is {row.condition}"))
    if row.condition == "useless":
        mend: str | None = mending.exempt(row.name)
    else:
        mend = _MENDS.get(row.condition)
    since = f", for {row.condition_since:.0f} s" if row.condition_since and level else ""
    yield _found(facts, "condition", level, f"{text}{since}", mend)
    if row.held_by_operator:
        text = "it is not moved because somebody said so"
        yield _found(facts, "condition", Level.INFO, text, mending.resume(row.name))


def _distress(facts: GuestFacts) -> Iterator[Finding]:
    row = facts.row
    kills = row.statistics.get("oom_kills", 0)
    if row.pressure is not None and row.pressure >= _SUFFERS:
        text = f"it suffers from want of memory ({row.pressure:.0%})"
        yield _found(facts, "distress", Level.WARNING, text, mending.explain(row.name))
    elif kills:
        text = f"it has killed {kills} programs for want of memory since it was started"
        yield _found(facts, "distress", Level.INFO, text, "a larger guarantee")
    elif row.pressure is not None:
        yield _found(facts, "distress", Level.OK, "it does not suffer")


def _guarantee(facts: GuestFacts) -> Iterator[Finding]:
    row = facts.row
    if row.guarantee is None or row.guest_size is None or not row.managed:
        return
    if row.guest_size < row.guarantee:
        has, least = format_size(row.guest_size), format_size(row.guarantee)
        text = f"it has {has}, less than its guarantee of {least}: somebody else moved its balloon"
        yield _found(facts, "below_guarantee", Level.WARNING, text, mending.START)


def _held(facts: GuestFacts) -> Iterator[Finding]:
    if facts.row.held is None:
        text = "what it holds on the host cannot be measured: it counts with its whole size"
        yield _found(facts, "held", Level.INFO, text)
