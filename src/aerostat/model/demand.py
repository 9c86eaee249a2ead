"""What programs want in an interval, and what became of it. Pure; columns as in `state`, bytes.

`Outcome.lost` is the measure of harm: the seconds of wanted work that a guest lost because it had
less than all of its RAM. See `aerostat.model.harm` for how it is reckoned.
"""

from typing import Self

import numpy.typing as npt

from aerostat.model import rows
from aerostat.model.columns import Columns, Row, column


class Demand(Columns):
    """What is wanted in one interval of time, one element a guest."""

    FIRST = rows.STATE_ROWS
    __slots__ = ()

    hold = Row(rows.HOLD)
    """Anonymous memory that programs want to have in all: more is taken, less given back, ..."""
    growth = Row(rows.GROWTH)
    """... and how much more they can take in this interval, at the pace of their work."""
    touched = Row(rows.TOUCHED)
    """Of the anonymous memory, how much is used in this interval."""
    cold = Row(rows.COLD_HOLD)
    """Of the anonymous memory, how much is never used; the rest is the working set."""
    mapped = Row(rows.MAPPING)
    """Files in constant use: programs themselves, libraries, mapped data."""
    read = Row(rows.READ)
    """Bytes read of other files in this interval, ..."""
    read_span = Row(rows.READ_SPAN)
    """... of which there are this many in all."""
    skew = Row(rows.SKEW)
    """How popular some of these are: with a share c of them in the page cache, (1 - c)^skew of what
    is read is not found there. 1: all alike; 3: few are read most; 0: they are read round and
    round, so that what is not cached is what is read next."""
    written = Row(rows.WRITTEN)
    """Bytes written to files in this interval."""

    @classmethod
    def of(cls, count: int, **amounts: npt.ArrayLike) -> Self:
        """Return what `count` guests want, one for all or one a guest; nothing where not given.

        `growth` is without limit where it is not given.
        """
        demand = cls.blank(count)
        for name, amount in {"growth": 2.0**62, **amounts}.items():
            setattr(demand, name, amount if name == "skew" else column(amount, count))
        return demand


class Outcome(Columns):
    """What came of one interval or several, one element a guest."""

    FIRST = rows.STATE_ROWS + rows.DEMAND_ROWS
    __slots__ = ()

    grown = Row(rows.GROWN)
    """Anonymous memory newly taken."""
    swapped_in = Row(rows.SWAPPED_IN)
    swapped_out = Row(rows.SWAPPED_OUT)
    refaulted = Row(rows.REFAULTED)
    """Files in constant use that had been let go, and were read again by faults."""
    read_missed = Row(rows.READ_MISSED)
    """What was read of files and was not in the page cache."""
    short = Row(rows.SHORT)
    """What programs wanted and did not get; a balloon that deflates on OOM should give it."""
    stalled = Row(rows.STALLED)
    """Seconds for which programs waited for memory, at most the time that passed."""
    lost = Row(rows.LOST)
    """Seconds of wanted work that the same guest with all of its RAM would not have lost, at most
    the time that passed: the harm. Divided by that time, it is the guest's slowdown."""
    killed = Row(rows.KILLED)
    """How often the kernel killed the programs for want of memory; they held nothing then."""
