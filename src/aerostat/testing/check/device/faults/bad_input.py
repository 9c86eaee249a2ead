"""Faults that only bad input brings to light: devices that die, hang or reach too far."""

# ruff: noqa: D103 - names say what is wrong, and that is planted where nobody has business

import os
import time
from typing import Any

from aerostat.balloon.device import BalloonDevice
from aerostat.balloon.lane import Lane
from aerostat.testing.check.device.faults.terms import fault, replace
from aerostat.virtio import split_ring
from aerostat.virtio.chain import BadChain, Chain
from aerostat.virtio.memory import GuestMemory
from aerostat.virtio.ring import BrokenRing


@fault("BAD-DEV-1", "BAD-DEV-3")
def pages_beyond_memory_end_it() -> None:
    def dying(clip: Any) -> Any:
        def clipping(self: GuestMemory, ranges: Any) -> Any:
            pieces, outside = clip(self, ranges)
            if outside:
                os.abort()
            return pieces, outside

        return clipping

    replace(GuestMemory, "clip", dying)


@fault("BAD-DEV-1")
def requests_of_odd_lengths_are_kept() -> None:
    def strict(give_back: Any) -> Any:
        def giving(self: BalloonDevice, queue: Any, lane: Lane, chain: Chain) -> None:
            if chain.readable_length % 4 == 0:
                give_back(self, queue, lane, chain)

        return giving

    replace(BalloonDevice, "_give_back", strict)


@fault("BAD-DEV-5")
def a_loop_is_followed_for_ever() -> None:
    def endless(walk: Any) -> Any:
        def walking(*rest: Any, **named: Any) -> Chain:
            try:
                made: Chain = walk(*rest, **named)
            except BadChain as error:
                while "loop" in str(error):
                    time.sleep(1)
                raise
            return made

        return walking

    replace(split_ring, "walk", endless)


@fault("BAD-DEV-5")
def a_head_beyond_the_table_ends_it() -> None:
    def dying(pop: Any) -> Any:
        def popping(self: Any) -> Any:
            try:
                return pop(self)
            except BrokenRing:
                os.abort()

        return popping

    replace(split_ring.SplitRing, "pop", dying)
