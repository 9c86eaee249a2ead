"""What a policy of somebody else wishes, in the place of what ours would want.

The safeguards hold for a wish as for anything that our own policy wants. It is heard for guests
whose figures are fresh and that do not feel the want of memory; for the others, and for those of
which it says nothing, our own policy decides. An operator's own word (`Guests.pinned`) goes before
it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from aerostat.engine.observation import BoolArray, FloatArray, Guests


@dataclass(frozen=True, slots=True, eq=False)
class Wishes:
    """One row a guest."""

    size: FloatArray
    """What it should have, bytes; NaN for no opinion."""
    why: Callable[[int], str]
    """Makes a sentence of a row, only when somebody asks."""

    def heard(self, guests: Guests, deaf: BoolArray) -> FloatArray:
        """Return the wishes that count, NaN elsewhere; none does where `deaf`."""
        return np.where(deaf | ~np.isnan(guests.pinned), np.nan, self.size)


def as_told(guests: Guests, heard: FloatArray) -> Guests:
    """Return the guests as if an operator had set those to their size of whom a wish is heard.

    It is for the dividing alone: what may be done of it is decided by what is really pinned.
    """
    return replace(guests, pinned=np.where(np.isnan(heard), guests.pinned, heard))
