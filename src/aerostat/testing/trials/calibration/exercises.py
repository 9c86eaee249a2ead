"""What is played in a real guest and in the model: work, targets and sizes. Pure.

Rates are such as a guest on a busy machine can keep up with: what is compared is what comes of
the work, not how fast it is done.
"""

from collections.abc import Sequence
from typing import NamedTuple

from aerostat.model.workload import Step, Workload
from aerostat.units import MIB

SIZE = 256 * MIB
SWAP_SIZE = 128 * MIB
FILE_SIZE = 256 * MIB
"""More than the page cache of a guest of `SIZE` takes."""

_READ_RATE = 32 * MIB
_GROW_RATE = 32 * MIB


class Exercise(NamedTuple):
    """One thing that guests do, and what is asked of their balloons meanwhile."""

    name: str
    words: str
    workload: Workload
    seconds: float
    targets: Sequence[tuple[float, int]] = ()
    """From which second on what is to be left to the guest, bytes."""
    swap_size: int = 0


def _work(*steps: Step, at_random: bool = True) -> Workload:
    return Workload("calibration", steps, grow_rate=_GROW_RATE, at_random=at_random)


EXERCISES = (
    Exercise(
        "cache",
        "a file is read that fits into memory, and read again",
        _work(Step(0, 16 * MIB, read_rate=_READ_RATE, read_span=128 * MIB)),
        seconds=12,
    ),
    Exercise(
        "loop",
        "a file larger than memory is read round and round",
        _work(Step(0, 16 * MIB, read_rate=_READ_RATE, read_span=FILE_SIZE)),
        seconds=24,
    ),
    Exercise(
        "popular",
        "a file is read here and there, some places more often, while the balloon takes memory",
        _work(Step(0, 16 * MIB, read_rate=_READ_RATE, read_span=192 * MIB, skew=3)),
        seconds=27,
        targets=((9, 176 * MIB), (18, 128 * MIB)),
    ),
    Exercise(
        "swap",
        "programs grow beyond memory, into the swap, and use all that they have",
        _work(Step(0, 64 * MIB), Step(3, 216 * MIB)),
        seconds=24,
        swap_size=SWAP_SIZE,
    ),
    Exercise(
        "swap-in-turn",
        "the same, but what they have is used in turn",
        _work(Step(0, 64 * MIB), Step(3, 216 * MIB), at_random=False),
        seconds=24,
        swap_size=SWAP_SIZE,
    ),
    Exercise(
        "burst",
        "programs grow into a page cache that is full, beyond memory, and are killed",
        _work(
            Step(0, 16 * MIB, read_rate=_READ_RATE, read_span=FILE_SIZE),
            Step(8, 400 * MIB),
        ),
        seconds=30,
    ),
    Exercise(
        "inflate-free",
        "the balloon takes what is free",
        _work(Step(0, 32 * MIB)),
        seconds=8,
        targets=((2, 128 * MIB),),
    ),
    Exercise(
        "inflate-cache",
        "the balloon takes what files were read into",
        _work(Step(0, 16 * MIB, read_rate=_READ_RATE, read_span=FILE_SIZE), Step(8, 16 * MIB)),
        seconds=16,
        targets=((10, 112 * MIB),),
    ),
    Exercise(
        "inflate-swap",
        "the balloon takes what programs use, which goes to the swap and comes back",
        _work(Step(0, 128 * MIB)),
        seconds=24,
        targets=((8, 152 * MIB),),
        swap_size=SWAP_SIZE,
    ),
    Exercise(
        "inflate-beyond",
        "the balloon is to take more than can be had, and sticks",
        _work(Step(0, 64 * MIB)),
        seconds=16,
        targets=((5, 80 * MIB), (12, SIZE)),
    ),
    Exercise(
        "deflate",
        "the balloon gives memory back, and programs take it",
        _work(Step(0, 32 * MIB), Step(8, 144 * MIB)),
        seconds=16,
        targets=((2, 112 * MIB), (6, SIZE)),
    ),
)

SHORT = ("inflate-cache", "inflate-swap")
"""Those that touch most of what is modelled, for a test."""
