"""Show that a store and a later load change places, from Python: ``tools/ordering.py [ROUNDS]``.

The reason why notifications are never suppressed (see `aerostat.virtio.memory.Ordering`), and what
it would take. Two processes, each on a processor of its own, store to a word of their own and then
load the other's, over and over. In whatever order their steps are interleaved, one of two such
loads must see the other's store; that neither does shows that a load was done before its store was
seen. This is tried bare, with a lock taken and left between store and load, and with the fence of
libatomic (`apt-get install libatomic1`).
"""

import ctypes
import mmap
import os
import sys
import time
from collections.abc import Callable
from threading import Lock

import numpy as np
from numpy.typing import NDArray

ROUNDS = 5_000_000

_SEQ_CST = 5  # of memory_order, in <stdatomic.h>
# Words so far apart that they are in cache lines of their own.
_OWN = (0, 64)
_READY = (128, 192)

Fence = Callable[[], object]
Seen = NDArray[np.int64]


def reorderings(first: Seen, second: Seen) -> int:
    """Return in how many rounds neither load saw the other's store.

    Round n (from 1 on) of each process stored n, and then loaded what is `seen[n - 1]`: the
    round that the other had come to.
    """
    rounds = len(first)
    numbers = np.arange(1, rounds + 1)
    # The other's next round after what was loaded: it stored later than that load.
    later = first + 1
    both = later <= rounds
    return int(np.count_nonzero(second[later[both] - 1] < numbers[both]))


def play(rounds: int, fence: Fence | None) -> tuple[int, int, float]:
    """Return the reorderings, how many rounds met the other at work, and nanoseconds a round."""
    shared = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("I")
    seen = [mmap.mmap(-1, 4 * rounds) for _ in _OWN]
    began = time.perf_counter()
    children = []
    for side, processor in enumerate(sorted(os.sched_getaffinity(0))[:2]):
        if not (child := os.fork()):
            os.sched_setaffinity(0, {processor})
            _store_and_load(shared, seen[side], side, rounds, fence)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    took = time.perf_counter() - began
    first, second = (np.frombuffer(one, np.uint32).astype(np.int64) for one in seen)
    met = int(np.count_nonzero(np.diff(first)))
    return reorderings(first, second), met, took * 1e9 / rounds


def _store_and_load(
    shared: memoryview, seen: mmap.mmap, side: int, rounds: int, fence: Fence | None
) -> None:
    own, other = _OWN[side], _OWN[1 - side]
    loaded = memoryview(seen).cast("I")
    shared[_READY[side]] = 1
    while not shared[_READY[1 - side]]:
        pass
    if fence is None:
        for number in range(1, rounds + 1):
            shared[own] = number
            loaded[number - 1] = shared[other]
    else:
        for number in range(1, rounds + 1):
            shared[own] = number
            fence()
            loaded[number - 1] = shared[other]


def _lock() -> Fence:
    lock = Lock()

    def fence() -> None:
        lock.acquire()
        lock.release()

    return fence


def _libatomic() -> Fence:
    function = ctypes.CDLL("libatomic.so.1").atomic_thread_fence
    function.argtypes, function.restype = [ctypes.c_int], None
    return lambda: function(_SEQ_CST)


def main(arguments: list[str]) -> int:
    """Try all three, and say what was seen."""
    rounds = int(arguments[0]) if arguments else ROUNDS
    if len(os.sched_getaffinity(0)) < 2:
        sys.stderr.write("two processors are needed\n")
        return 1
    for name, make in (("bare", lambda: None), ("a lock", _lock), ("libatomic", _libatomic)):
        changed, met, nanoseconds = play(rounds, make())
        sys.stdout.write(
            f"{name:10} {rounds} rounds, {met} met the other at work, {changed} reordered, "
            f"{nanoseconds:.0f} ns each\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
