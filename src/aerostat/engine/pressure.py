"""How much a guest suffers: its pressure, 0 to 1, and what it shows in.

Graded by what the guest sends: with all 16 tags stalls and direct reclaim are seen; with fewer,
faults, swapping and scarcity. What the hypervisor counts of its disk reads is a sign beside those:
a guest that reads back what it had to drop reads more than usual, but so does one that merely
reads, so it counts only shortly after memory was taken, or together with other signs.

Linux counts the faults that *swap-in* causes among the major faults, and swap-in is healing, not
harm: it is subtracted.
"""

from enum import IntEnum

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import FloatArray, Guests, known_or
from aerostat.engine.settings import Settings
from aerostat.engine.state import State


class Cause(IntEnum):
    """What a guest's pressure shows in."""

    NOTHING = 0
    SCARCITY = 1
    SWAP_OUT = 2
    MAJOR_FAULTS = 3
    STALLS = 4
    DIRECT_RECLAIM = 5
    OOM_KILL = 6
    TOOK_BACK = 7
    BLOCK_READS = 8


def feel(
    state: State,
    now: float,
    guests: Guests,
    statistics: FloatArray,
    elapsed: FloatArray,
    scarcity: FloatArray,
    reads: FloatArray,
    settings: Settings,
) -> tuple[FloatArray, FloatArray]:
    """Return the pressure that shows now, and its cause.

    `statistics` are the last plausible ones, `elapsed` is since those before, NaN where there are
    no new ones; `reads` is how much more than usual each guest reads from its disks, bytes a
    second.
    """
    # A balloon that grows into page cache reclaims it directly, on the guest's account: for each
    # 32 pages (SWAP_CLUSTER_MAX) at most a stall. That is put down to us, and is no harm; of the
    # bytes twice as many, since a stall frees more than was asked for.
    taken = np.fmax(state.sample_size - guests.guest_size, 0.0)
    our_reclaim = 2.0 * taken
    our_stalls = taken / (32 * PAGE_SIZE)
    # The counter's step is 0 where it is absent, went backwards (a reboot) or is not new.
    per_second = 1.0 / np.where(elapsed > 0, elapsed, np.inf)

    def rate(tag: Tag, less: FloatArray | float = 0.0) -> FloatArray:
        step = statistics[:, tag] - state.statistics[:, tag]
        return np.fmax(step - less, 0.0) * per_second

    def score(value: FloatArray, half: FloatArray | float) -> FloatArray:
        """Return 0 for 0, 1/2 for `half`, towards 1 for much more."""
        return np.asarray(value / (value + half))

    # One percent of a guest's memory moved in a second for want of memory is half of the way to
    # a guest that does nothing else; so are ten stalls, or a hundred faults that went to disk.
    one_percent = np.maximum(0.01 * guests.max_size, 1.0)
    faults = rate(Tag.MAJOR_FAULTS) - rate(Tag.SWAP_IN) / PAGE_SIZE
    scores = np.zeros((len(Cause), len(guests)))
    scores[Cause.SCARCITY] = scarcity
    scores[Cause.SWAP_OUT] = score(rate(Tag.SWAP_OUT), one_percent)
    # Programs that start fault too: alone, major faults never make a distress.
    scores[Cause.MAJOR_FAULTS] = 0.45 * score(np.maximum(faults, 0.0), 100.0)
    scores[Cause.STALLS] = score(rate(Tag.ALLOC_STALLS, our_stalls), 10.0)
    scores[Cause.DIRECT_RECLAIM] = score(rate(Tag.DIRECT_RECLAIMS, our_reclaim), one_percent)
    scores[Cause.OOM_KILL] = rate(Tag.OOM_KILLS) > 0
    _add_reads(scores, score(reads, one_percent), state, now, guests, settings)

    found = 1.0 - np.prod(1.0 - scores, axis=0)
    # Mostly few feel anything.
    rows = np.flatnonzero(found > 0.01)
    cause = np.full(len(guests), float(Cause.NOTHING))
    cause[rows] = np.argmax(scores[:, rows], axis=0)
    return found, cause


def _add_reads(
    scores: FloatArray,
    reads: FloatArray,
    state: State,
    now: float,
    guests: Guests,
    settings: Settings,
) -> None:
    """Count unusual reads from disk as far as other signs say that they are refaults.

    They and major faults are two views of the same thing, so only the larger counts. Guests whose
    kernel shows its reclaim need this sign less.
    """
    lately = known_or(np.exp(-(now - state.taken_time) / settings.cooldown), 0.0)
    likely = np.maximum(np.maximum(lately, scores[Cause.SCARCITY]), scores[Cause.SWAP_OUT])
    shows_reclaim = ~np.isnan(guests.statistics[:, Tag.DIRECT_RECLAIMS])
    weight = np.where(shows_reclaim, 0.2, 0.45)
    found = weight * np.minimum(likely, 1.0) * reads
    faults = scores[Cause.MAJOR_FAULTS]
    scores[Cause.BLOCK_READS] = np.where(found > faults, found, 0.0)
    scores[Cause.MAJOR_FAULTS] = np.where(found > faults, 0.0, faults)
