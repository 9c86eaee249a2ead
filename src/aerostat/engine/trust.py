"""How far a guest's word is believed: less, once it contradicts what the host sees.

A page that is faulted in from a file is read from the disk, and the hypervisor counts that. Who
claims many more such faults than can be in what it read says what is not so, and its figures count
for less: its claims beyond its entitlement, and its complaints. Up to its entitlement it is served
by its word as before, so that a wrong suspicion harms nobody much; and trust comes back.
"""

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import BoolArray, FloatArray, Guests
from aerostat.engine.settings import Settings
from aerostat.engine.state import State


def follow_trust(
    state: State, guests: Guests, made: FloatArray, new: BoolArray, settings: Settings
) -> FloatArray:
    """Return how far each guest is believed, 0 to 1. `new` marks new figures, `made` is when."""
    before = np.where(np.isnan(state.trust), 1.0, state.trust)
    now, then = guests.statistics, state.statistics
    swapped_in = now[:, Tag.SWAP_IN] - then[:, Tag.SWAP_IN]
    faults = now[:, Tag.MAJOR_FAULTS] - then[:, Tag.MAJOR_FAULTS]
    faults = faults - np.fmax(swapped_in, 0.0) / PAGE_SIZE
    read = guests.block_reads - state.block_reads
    seconds = made - state.sample_time
    # Only where both were counted over the same time.
    known = new & (read >= 0) & (seconds > 0) & (state.reads_time == state.sample_time)
    seconds = np.where(known, seconds, 0.0)
    claimed = faults * PAGE_SIZE
    lies = known & (claimed > 2.0 * read + settings.reads_harm * seconds)
    falls = before * np.exp(-seconds / settings.trust_fall)
    rises = 1.0 - (1.0 - before) * np.exp(-seconds / settings.trust_rise)
    return np.where(lies, falls, rises)
