"""A guest's balloon: it takes memory and gives it back, at its pace, and gives up in time. Pure.

Inflating takes what is free at once, as fast as requests go, and then what the kernel reclaims for
it. Linux's driver allocates without trying hard (__GFP_NORETRY), so that something of the files in
use is left and nothing is killed for it. It soon fails, and tries again a little later: what has to
be reclaimed comes bit by bit. While programs wait for memory, the driver waits with them, even to
give some back.
"""

from aerostat.model.pace import Pace
from aerostat.model.reclaim import (
    STALL_BATCH,
    reclaim_aside,
    reclaim_directly,
    reclaimable,
    take,
    whole_pages,
)
from aerostat.model.rows import (
    ASKED_SIZE,
    BALLOON,
    FREE,
    GOAL,
    HIGH_WATERMARK,
    HOT_CACHE,
    MAPPED,
    MIN_WATERMARK,
    PAUSE,
    SIZE,
    STRAIN,
    UNTOUCHED,
    Record,
)

# What balloons left of the files in use when they gave up, in a guest of Linux 6.1.
_SPARED_SHARE = 0.25
# What kswapd gets done of what is reclaimed for a balloon; the driver does the rest. Seen: 0.87 to
# 0.93 in Linux 6.1 and 6.12.
_ASIDE_SHARE = 0.9
# How much of what has to be reclaimed a driver gets until an allocation fails, and it pauses: so
# many times what is between the min and high watermarks. Seen: 3 to 9, and at times no failure.
_A_TRY = 8.0
# More than any guest has, in bytes; whole pages of it are still exact.
UNBOUNDED = 2.0**60


def inflate_guest(guest: Record, amount: float, disk: float) -> tuple[float, float]:
    """Take up to `amount` bytes, writing at most `disk`; return what was taken and written."""
    spared = whole_pages(guest[MAPPED] * _SPARED_SHARE)
    # A driver that finds nothing has looked once, not once for all that it wants.
    there_is_free = max(guest[FREE] - guest[MIN_WATERMARK], 0.0)
    there_is = there_is_free + reclaimable(guest) - min(spared, guest[HOT_CACHE])
    sought = min(amount, there_is + STALL_BATCH)
    lacking = max(sought - there_is_free, 0.0)
    aside, _ = reclaim_aside(guest, sought, whole_pages(lacking * _ASIDE_SHARE), disk, spared)
    _, directly, _ = reclaim_directly(guest, sought, disk - aside, spared)
    got = take(guest, amount)
    guest[BALLOON] += got
    guest[UNTOUCHED] = min(guest[UNTOUCHED], guest[FREE])
    return got, aside + directly


def deflate_guest(guest: Record, amount: float) -> float:
    """Give back up to `amount` bytes, which the host has no pages for; return how much it was."""
    given = min(amount, guest[BALLOON])
    guest[BALLOON] -= given
    guest[FREE] += given
    guest[UNTOUCHED] += given
    return given


def ask(guest: Record, target_size: float) -> None:
    """Let the driver hear of a target; the same one as before, or NaN, is nothing new."""
    if target_size >= 0.0 and target_size != guest[ASKED_SIZE]:
        guest[ASKED_SIZE] = target_size
        guest[GOAL] = max(guest[SIZE] - whole_pages(target_size), 0.0)
        guest[PAUSE] = 0.0


def move_balloon(guest: Record, dt: float, pace: Pace, disk: float) -> float:
    """Let the driver work towards its goal for `dt` seconds; return what was written for it."""
    missing = guest[GOAL] - guest[BALLOON]
    if missing < 0.0:
        speed = pace.deflate * (1.0 - guest[STRAIN] * (1.0 - pace.strained_deflate))
        deflate_guest(guest, min(-missing, whole_pages(speed * dt)))
        return 0.0
    if missing == 0.0:
        return 0.0
    guest[PAUSE] -= dt
    if guest[PAUSE] > 0.0:
        return 0.0
    # What has to be reclaimed takes its time to be reclaimed, and then to be handed over.
    easy = min(max(guest[FREE] - guest[HIGH_WATERMARK], 0.0), pace.inflate * dt)
    hard = (dt - easy / pace.inflate) / (1.0 / pace.inflate + 1.0 / pace.reclaim)
    tried = min(hard, _A_TRY * (guest[HIGH_WATERMARK] - guest[MIN_WATERMARK]))
    wanted = min(missing, whole_pages(easy + tried))
    got, written = inflate_guest(guest, wanted, disk)
    if got < wanted or (tried < hard and got < missing):
        # Half a moment more, since times are sums: it is to be the same count of intervals.
        guest[PAUSE] = pace.retry + dt * 0.5
    return written
