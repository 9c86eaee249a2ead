"""The rows of a guest's record: which number of it is what. Pure.

While time passes for a guest, all that is known of it is one record, a sequence of floats: its
state, what its programs want, and what came of it, in this order. Plain numbers as indices are
what lets the same functions run on a list of Python's, for one guest, and compiled on an array,
for thousands. What each row means stands where it has a name: in `state` and `demand`.
"""

from collections.abc import MutableSequence

Record = MutableSequence[float]

(
    SIZE, SWAP_SIZE, DEFLATE_ON_OOM, REPORTING, MIN_WATERMARK, LOW_WATERMARK, HIGH_WATERMARK,
    RESERVED, KERNEL, ANONYMOUS, CACHE, HOT_CACHE, DIRTY, FREE, BALLOON,
    UNTOUCHED, SWAPPED, COLD, MAPPED, SEEN, SQUEEZED, RESTARTING,
    ASKED_SIZE, GOAL, PAUSE, STRAIN, SWAP_REST, READ_REST, WRITE_REST,
    SWAP_IN, SWAP_OUT, MAJOR_FAULTS, MINOR_FAULTS, OOM_KILLS, ALLOC_STALLS,
    ASYNC_SCANS, DIRECT_SCANS, ASYNC_RECLAIMS, DIRECT_RECLAIMS, BLOCK_READS,
) = range(40)  # fmt: skip
STATE_ROWS = 40

(HOLD, GROWTH, TOUCHED, COLD_HOLD, MAPPING, READ, READ_SPAN, SKEW, WRITTEN) = range(40, 49)
DEMAND_ROWS = 9

(
    GROWN, SWAPPED_IN, SWAPPED_OUT, REFAULTED, READ_MISSED, SHORT, STALLED, LOST, KILLED,
) = range(49, 58)  # fmt: skip
OUTCOME_ROWS = 9

ROWS = STATE_ROWS + DEMAND_ROWS + OUTCOME_ROWS
