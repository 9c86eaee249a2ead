"""What taking memory from a real guest costs the host: our device against QEMU's own balloon.

The same guest, Linux and all, three times over on one QEMU: with a device process of ours on
QEMU's generic vhost-user device, with QEMU's own balloon on the same kind of memory (a memfd), and
with QEMU's own on ordinary anonymous memory. The guest has written to what is taken from it, so
that the host has the pages to lose. What it has free is as after a boot, or in pieces, or
scattered so that no two free pages adjoin.

Counted is the CPU time of every thread of QEMU and of the device process. The device's part is the
device process, where it is ours; where it is QEMU's, it is the main thread, which does that work.
$AEROSTAT_ACCELERATOR is QEMU's ``-accel``: emulation, unless it says something else.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bench.guests import BenchGuest, Cost, check_qemu
from bench.harness import Figure, Goal, in_turns, judge, main

from aerostat.testing.guests import qemu
from aerostat.testing.processes import places, sessions
from aerostat.units import GIB, KIB, MIB

_MEMFD = "QEMU's own balloon, memfd"
_ANONYMOUS = "QEMU's own balloon, anonymous memory"


class Amounts(NamedTuple):
    """Sizes in bytes, and how often all of it is measured."""

    guest: int
    touched: int
    taken: int
    shattered: int
    taken_of_pieces: int
    repeats: int


_FULL = Amounts(2 * GIB, 1700 * MIB, GIB, GIB, 384 * MIB, 5)
_QUICK = Amounts(GIB, 650 * MIB, 256 * MIB, 512 * MIB, 128 * MIB, 1)

# What of the cost of a guest with all its memory free is compared, with whom, and the bound.
_FRESH = (
    ("device", _MEMFD, 0.25),
    ("whole", _MEMFD, 0.8),
    ("wall", _MEMFD, 1.0),
    ("whole", _ANONYMOUS, 1.0),
    ("wall", _ANONYMOUS, 1.0),
)
# Of a guest with memory in pieces of so many bytes, the device's part.
_IN_PIECES = (("fragmented", 256 * KIB, 0.45), ("fully scattered", 4 * KIB, 1.3))

_NAMES = {"device": "device's CPU", "whole": "all CPU", "wall": "time"}


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure CPU seconds, and seconds, a GiB taken."""
    check_qemu()
    amounts = _QUICK if quick else _FULL
    with _three_guests(amounts.guest) as (ours, memfd, anonymous):
        guests = {"": ours, _MEMFD: memfd, _ANONYMOUS: anonymous}
        takes = [_fresh(guest, amounts) for guest in guests.values()]
        columns = zip(*in_turns(*takes, repeats=amounts.repeats), strict=True)
        costs = dict(zip(guests, columns, strict=True))
        for part, rival, bound in _FRESH:
            yield _figure(part, "fresh guest", rival, costs[""], costs[rival], bound)
        for condition, piece, bound in _IN_PIECES:
            takes = [_in_pieces(guest, amounts, piece) for guest in (ours, memfd)]
            mine, theirs = zip(*in_turns(*takes, repeats=amounts.repeats), strict=True)
            yield _figure("device", f"{condition} guest", _MEMFD, mine, theirs, bound)


@contextlib.contextmanager
def _three_guests(size: int) -> Iterator[tuple[BenchGuest, ...]]:
    accelerator = os.environ.get("AEROSTAT_ACCELERATOR", qemu.TCG)
    with contextlib.ExitStack() as stack:
        directory = places.run_directory()
        stack.callback(sessions.sweep, directory)
        sessions.own(directory)
        runner = stack.enter_context(asyncio.Runner())

        def start(name: str, *, ours: bool = False, memory: str = qemu.MEMFD) -> BenchGuest:
            options = {"memory": memory, "accelerator": accelerator}
            guest = BenchGuest(runner, name, directory, size, ours=ours, **options)
            return stack.enter_context(guest)

        yield start("ours", ours=True), start("memfd"), start("ram", memory=qemu.ANONYMOUS)


def _fresh(guest: BenchGuest, amounts: Amounts) -> Callable[[], Cost]:
    def take() -> Cost:
        guest.touch(amounts.touched)
        cost = guest.take(amounts.taken)
        guest.give_back()
        return cost

    return take


def _in_pieces(guest: BenchGuest, amounts: Amounts, piece: int) -> Callable[[], Cost]:
    def take() -> Cost:
        guest.touch(amounts.touched)
        guest.shatter(amounts.shattered, piece)
        cost = guest.take(amounts.taken_of_pieces)
        guest.give_back()
        guest.mend()
        return cost

    return take


def _figure(
    part: str, guest: str, rival: str, ours: Sequence[Cost], theirs: Sequence[Cost], bound: float
) -> Figure:
    pairs = [
        (getattr(mine, part), getattr(other, part))
        for mine, other in zip(ours, theirs, strict=True)
    ]
    name = f"taking memory: {_NAMES[part]}, {guest}"
    return judge(name, "s/GiB", rival, pairs, Goal("ratio", "<=", bound))


if __name__ == "__main__":
    main(run)
