"""What programs want in an interval, and what became of it. Pure; columns as in `state`, bytes."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from aerostat.model.state import Column, Mask, column


@dataclass(slots=True, eq=False)
class Demand:
    """What is wanted in one interval of time, one element a guest."""

    hold: Column
    """Anonymous memory that programs want to have in all: more is taken, less given back, ..."""
    growth: Column
    """... and how much more they can take in this interval, at the pace of their work."""
    touched: Column
    """Of the anonymous memory, how much is used in this interval."""
    mapped: Column
    """Files in constant use: programs themselves, libraries, mapped data."""
    read: Column
    """Bytes read of other files, round and round, in this interval, ..."""
    read_span: Column
    """... of which there are this many in all."""
    written: Column
    """Bytes written to files in this interval."""

    @classmethod
    def of(cls, count: int, **amounts: npt.ArrayLike) -> Self:
        """Return what `count` guests want, one for all or one a guest; nothing where not given.

        `growth` is without limit where it is not given.
        """
        amounts = {"growth": float(2**62), **amounts}
        return cls(*(column(amounts.get(field.name, 0.0), count) for field in fields(cls)))

    def rows(self, which: npt.ArrayLike) -> Self:
        """Return copies of what the guests want that an index, a list or a mask names."""
        chosen = np.arange(len(self.hold))[np.asarray(which)]
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(slots=True, eq=False)
class Outcome:
    """What came of one interval, one element a guest."""

    grown: Column
    """Anonymous memory newly taken."""
    swapped_in: Column
    swapped_out: Column
    refaulted: Column
    """Files in constant use that had been let go, and were read again by faults."""
    read_missed: Column
    """What was read of files and was not in the page cache."""
    short: Column
    """What programs wanted and did not get; a balloon that deflates on OOM should give it."""
    stalled: Column
    """Seconds for which programs waited for memory, at most the interval."""
    killed: Mask
    """Whether the kernel killed the programs for want of memory; they hold nothing now."""
