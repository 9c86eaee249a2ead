"""Faults in how a device speaks packed rings (virtio 1.2, 2.8)."""

# ruff: noqa: D103 - names say what is wrong, and that is planted where nobody has business

import os
from typing import Any

from aerostat.testing.check.device.faults.terms import fault, replace
from aerostat.virtio.packed_ring import PackedRing
from aerostat.virtio.ring import BrokenRing

_PACKED = ("--packed-rings",)


@fault("PK-3", options=_PACKED)
def lists_are_passed_over_by_one() -> None:
    def by_one(settle: Any) -> Any:
        def settling(self: PackedRing, head: int) -> int:
            settle(self, head)
            return 1

        return settling

    replace(PackedRing, "_settle", by_one)


@fault("PK-1", "PK-3", options=_PACKED)
def the_wrap_counter_stays_1() -> None:
    def one_round(advance: Any) -> Any:
        def advancing(self: PackedRing, position: int, count: int) -> int:
            return int(advance(self, position, count)) % self.size

        return advancing

    replace(PackedRing, "_advance", one_round)


@fault("PK-6", options=_PACKED)
def the_drivers_event_structure_is_written() -> None:
    def writing(bind: Any) -> Any:
        def binding(self: PackedRing, memory: Any, desc: int, *events: int) -> None:
            bind(self, memory, desc, *events)
            memory.write(events[0], (1).to_bytes(4, "little"))

        return binding

    replace(PackedRing, "_bind", writing)


@fault("BAD-DEV-6", options=_PACKED)
def a_list_without_an_end_ends_it() -> None:
    def dying(pop: Any) -> Any:
        def popping(self: PackedRing) -> Any:
            try:
                return pop(self)
            except BrokenRing:
                os.abort()

        return popping

    replace(PackedRing, "pop", dying)
