"""How far each guest can be managed: a state machine, one table for all guests.

In each step exactly one sign is seen of a guest: of those that hold, the first in the order of
`Sign`. The sign and the condition so far give the next condition. The rules behind the table:

1. An operator's word goes before everything, and begins anew: a guest that was exempt is judged by
   what is seen of it now.
2. A guest from whose balloon the host gains nothing is useless, whatever else it does; one whose
   balloon does not move is stuck. Both are verdicts, and hold for a term. Time ends them; so does
   what they deny: a stuck balloon that moves, a useless one from which the host gains after all.
3. Without a verdict the newest figures decide, and at once: a guest that answers again is fresh
   with its first answer. (Its estimates remember; see `aerostat.engine.estimates`.)
4. A guest with good figures whose balloon is on its way down is draining: nothing more is asked.

Pure, NumPy.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import IntEnum

import numpy as np

from aerostat.engine.observation import BoolArray, FloatArray, IntArray


class Condition(IntEnum):
    """How far a guest can be managed at present. Saved states have the numbers."""

    FRESH = 0
    STALE = 1
    SILENT = 2
    STUCK = 3
    USELESS = 4
    EXEMPT = 5
    IMPLAUSIBLE = 6
    DRAINING = 7


class Sign(IntEnum):
    """What is seen of a guest in a step, in the order in which they count."""

    UNMANAGED = 0
    NO_GAIN = 1
    NO_MOTION = 2
    WAITS = 3
    IMPOSSIBLE = 4
    NO_FIGURES = 5
    OLD_FIGURES = 6
    SHRINKS = 7
    ANSWERS = 8


SIGNS = {
    Sign.UNMANAGED: "it is not to be managed",
    Sign.NO_GAIN: "its balloon took memory, and the host gained nothing",
    Sign.NO_MOTION: "it was asked to shrink, and its balloon does not move",
    Sign.WAITS: "its term is not over, and nothing has changed",
    Sign.IMPOSSIBLE: "its figures cannot be true",
    Sign.NO_FIGURES: "no figures for long",
    Sign.OLD_FIGURES: "its figures are old",
    Sign.SHRINKS: "its balloon is on its way down",
    Sign.ANSWERS: "none of these",
}
"""The signs, in words."""

VERDICTS = (Condition.STUCK, Condition.USELESS)
"""The conditions that hold for a term: `Sign.WAITS` is seen in these only."""

_FRESH, _STALE, _SILENT = Condition.FRESH, Condition.STALE, Condition.SILENT
_STUCK, _USELESS, _EXEMPT = Condition.STUCK, Condition.USELESS, Condition.EXEMPT
_FALSE, _DRAIN = Condition.IMPLAUSIBLE, Condition.DRAINING

# fmt: off
_ROWS: Mapping[Condition, tuple[Condition, ...]] = {
    #          UNMANAGED NO_GAIN   NO_MOTION WAITS     IMPOSSIBLE NO_FIGURES OLD     SHRINKS ANSWERS
    _FRESH:   (_EXEMPT, _USELESS, _STUCK,   _FRESH,   _FALSE,    _SILENT,   _STALE, _DRAIN, _FRESH),
    _STALE:   (_EXEMPT, _USELESS, _STUCK,   _STALE,   _FALSE,    _SILENT,   _STALE, _DRAIN, _FRESH),
    _SILENT:  (_EXEMPT, _USELESS, _STUCK,   _SILENT,  _FALSE,    _SILENT,   _STALE, _DRAIN, _FRESH),
    _STUCK:   (_EXEMPT, _USELESS, _STUCK,   _STUCK,   _FALSE,    _SILENT,   _STALE, _DRAIN, _FRESH),
    _USELESS: (_EXEMPT, _USELESS, _USELESS, _USELESS, _FALSE,    _SILENT,   _STALE, _DRAIN, _FRESH),
    _EXEMPT:  (_EXEMPT, _USELESS, _STUCK,   _EXEMPT,  _FALSE,    _SILENT,   _STALE, _DRAIN, _FRESH),
    _FALSE:   (_EXEMPT, _USELESS, _STUCK,   _FALSE,   _FALSE,    _SILENT,   _STALE, _DRAIN, _FRESH),
    _DRAIN:   (_EXEMPT, _USELESS, _STUCK,   _DRAIN,   _FALSE,    _SILENT,   _STALE, _DRAIN, _FRESH),
}
# fmt: on

TRANSITIONS: IntArray = np.array([_ROWS[condition] for condition in Condition], dtype=np.int64)
"""The next condition, by the condition so far and the sign; shape (conditions, signs)."""


def follow(
    condition: FloatArray, since: FloatArray, now: float, seen: Mapping[Sign, BoolArray]
) -> tuple[IntArray, FloatArray]:
    """Return each guest's next condition, and since when it is in it.

    `condition` is NaN for a guest that is new: it has sent no figures yet. `seen` has all signs
    but `Sign.ANSWERS`, which is what there is without any other.
    """
    before = known_condition(condition)
    sign = np.select([seen[sign] for sign in Sign if sign is not Sign.ANSWERS], [*Sign][:-1], 8)
    after = TRANSITIONS[before, sign]
    stays = (after == before) & ~np.isnan(since)
    return after, np.where(stays, np.minimum(since, now), now)


def known_condition(condition: FloatArray) -> IntArray:
    """Return saved conditions as numbers of `Condition`; what is none counts as silent."""
    known = (condition >= 0) & (condition < len(Condition))
    return np.where(known, condition, Condition.SILENT).astype(np.int64)


def diagram() -> str:
    """Return the table as a Mermaid flow chart.

    Where a sign leads nearly every condition to the same next one, a single arrow from "any" says
    so, and the exceptions have arrows of their own.
    """
    lines = ["flowchart LR", "    any((any))"]
    lines += [f"    {condition.name.lower()}" for condition in Condition]
    lines += [
        f'    {source} -- "{SIGNS[sign]}" --> {target.name.lower()}'
        for source, sign, target in _arrows()
    ]
    return "\n".join(lines) + "\n"


def _arrows() -> Iterator[tuple[str, Sign, Condition]]:
    for sign in Sign:
        if sign is Sign.WAITS:
            yield from ((state.name.lower(), sign, _ROWS[state][sign]) for state in VERDICTS)
            continue
        ((usual, _),) = Counter(row[sign] for row in _ROWS.values()).most_common(1)
        yield "any", sign, usual
        for state, row in _ROWS.items():
            if row[sign] is not usual:
                yield state.name.lower(), sign, row[sign]
