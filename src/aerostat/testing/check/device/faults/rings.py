"""Faults in how a device reads and writes rings, and notifies of them (virtio 1.2, 2.7)."""

# ruff: noqa: D103 - names say what is wrong, and that is planted where nobody has business

import os
import time
from typing import Any

from aerostat.balloon.abi import Queue
from aerostat.balloon.device import BalloonDevice
from aerostat.balloon.lane import Lane
from aerostat.device.rings import Rings
from aerostat.testing.check.device.faults.terms import fault, replace
from aerostat.vhost_user.backend import Backend
from aerostat.vhost_user.setup import RingSetup
from aerostat.virtio import chain, split_ring
from aerostat.virtio.chain import INDIRECT, WRITE, BadChain, Chain
from aerostat.virtio.split_ring import INDEX, SplitRing


@fault("DEV-OP-3")
def deflations_are_not_answered() -> None:
    def only_inflations(give_back: Any) -> Any:
        def giving(self: Any, queue: Queue, lane: Lane, chain: Chain) -> None:
            if queue is not Queue.DEFLATE:
                give_back(self, queue, lane, chain)

        return giving

    replace(BalloonDevice, "_give_back", only_inflations)


@fault("DEV-OP-3")
def requests_are_answered_twice() -> None:
    def twice(push: Any) -> Any:
        def pushing(self: SplitRing, head: int, written: int = 0) -> None:
            push(self, head, written)
            push(self, head, written)

        return pushing

    replace(SplitRing, "push", twice)


@fault("DEV-OP-3")
def long_requests_are_not_answered() -> None:
    """As Firecracker, in 2026, with more than 256 pages; here with as many."""

    def shorter(give_back: Any) -> Any:
        def giving(self: Any, queue: Queue, lane: Lane, chain: Chain) -> None:
            if chain.readable_length < 1024:
                give_back(self, queue, lane, chain)

        return giving

    replace(BalloonDevice, "_give_back", shorter)


@fault("DEV-OP-3")
def the_wrong_request_is_answered() -> None:
    replace(
        SplitRing,
        "push",
        lambda push: lambda self, head, written=0: push(self, head ^ 1, written),
    )


@fault("DEV-OP-3")
def small_rings_only() -> None:
    """Take a size of 128 at most for granted: indices wrap around there."""
    replace(
        SplitRing,
        "__init__",
        lambda init: (
            lambda self, memory, size, *rest, **named: init(
                self, memory, min(size, 128), *rest, **named
            )
        ),
    )


@fault("DEV-OP-3", "VU-DEV-6")
def indices_do_not_wrap() -> None:
    def stuck(pop: Any) -> Any:
        def popping(self: SplitRing) -> Chain | None:
            return None if self._next_avail == 0xFFFF else pop(self)

        return popping

    replace(SplitRing, "pop", stuck)
    replace(SplitRing, "waiting", lambda one: property(
        lambda self: self._next_avail != 0xFFFF and one.fget(self)
    ))  # fmt: skip


@fault("VQ-DEV-4")
def the_used_length_is_the_requests() -> None:
    """As old devices had it, whose drivers ignore it."""

    def lengths(_: Any) -> Any:
        def giving(self: Any, queue: Queue, lane: Lane, chain: Chain) -> None:
            lane.ring.push(chain.head, chain.readable_length)
            self._notify.add(queue)

        return giving

    replace(BalloonDevice, "_give_back", lengths)


@fault("VQ-DEV-4", "DEV-OP-3")
def the_index_comes_before_the_element() -> None:
    def early(push: Any) -> Any:
        def pushing(self: SplitRing, head: int, written: int = 0) -> None:
            self._used.publish(INDEX, self._next_used + 1 & 0xFFFF)
            time.sleep(0.001)
            push(self, head, written)

        return pushing

    replace(SplitRing, "push", early)


@fault("VQ-DEV-2")
def one_descriptor_is_read() -> None:
    """As Firecracker, in 2026."""
    replace(
        Chain,
        "read",
        lambda read: (
            lambda self, *rest, **named: read(
                self._replace(readable=self.readable[:1]), *rest, **named
            )
        ),
    )


@fault("VQ-DEV-3")
def write_counts_on_an_indirect_table() -> None:
    def strict(walk: Any) -> Any:
        def walking(memory: Any, table: Any, head: int, **named: Any) -> Chain:
            flags = int.from_bytes(bytes(table[head * 16 + 12 : head * 16 + 14]), "little")
            if flags & INDIRECT and flags & WRITE:
                raise BadChain(head, "an indirect table to write to")
            made: Chain = walk(memory, table, head, **named)
            return made

        return walking

    replace(split_ring, "walk", strict)


@fault("VQ-DEV-3", "VQ-DEV-2")
def indirect_tables_are_not_read() -> None:
    def none(memory: Any, head: int, address: int, length: int) -> bytes:
        raise BadChain(head, f"no table at {address:#x}+{length:#x} of {memory}")

    replace(chain, "copy_table", lambda _: none)


@fault("VQ-DEV-1")
def requests_are_written_to() -> None:
    def clear(give_back: Any) -> Any:
        def giving(self: Any, queue: Queue, lane: Lane, chain: Chain) -> None:
            for address, length in chain.readable[:1]:
                lane.ring.memory.write(address, bytes(min(length, 4)))
            give_back(self, queue, lane, chain)

        return giving

    replace(BalloonDevice, "_give_back", clear)


@fault("VQ-DEV-5")
def nobody_is_told_of_deflations() -> None:
    replace(
        BalloonDevice,
        "take_notifications",
        lambda take: lambda self: [one for one in take(self) if one is not Queue.DEFLATE],
    )


@fault("VQ-DEV-6")
def a_kick_for_nothing_is_an_error() -> None:
    def strict(kicked: Any) -> Any:
        def kicking(self: Rings, index: int) -> None:
            queue = self._queues.get(index)
            if queue is not None and not self._guest.device.pending(queue):
                os._exit(1)
            kicked(self, index)

        return kicking

    replace(Rings, "_kicked", strict)


@fault("ST-DEV-1", "VU-DEV-3")
def rings_are_served_before_they_are_enabled() -> None:
    replace(
        RingSetup,
        "ready",
        lambda _: property(lambda self: self.started and self.size > 0 and bool(self.addresses)),
    )


@fault("VU-DEV-4")
def enabled_rings_are_not_looked_at() -> None:
    starting: list[Rings] = []

    def start_idle(start: Any) -> Any:
        def begin(self: Rings, index: int) -> None:
            starting.append(self)
            start(self, index)
            starting.clear()

        return begin

    def work_later(work: Any) -> Any:
        def begin(self: Rings, index: int) -> None:
            if not starting:
                work(self, index)

        return begin

    replace(Rings, "_start", start_idle)
    replace(Rings, "_work", work_later)


@fault("VU-DEV-5", "VU-DEV-6")
def a_held_buffer_counts_as_used() -> None:
    replace(SplitRing, "unpop", lambda _: lambda _self: None)


@fault("VU-DEV-6", "VU-DEV-5")
def what_came_in_a_pause_is_lost() -> None:
    """As a device that begins where the available ring ends."""

    def at_the_end(init: Any) -> Any:
        def beginning(self: SplitRing, *rest: Any, **named: Any) -> None:
            init(self, *rest, **named)
            if self._next_used:
                self._next_avail = self._avail.load(INDEX)

        return beginning

    replace(SplitRing, "__init__", at_the_end)


@fault("ST-DEV-3", "VU-DEV-5", "VU-DEV-3")
def stopped_rings_are_served() -> None:
    def running(stop: Any) -> Any:
        def stopping(self: Rings, index: int) -> int:
            setup = self._backend.rings[index]
            return setup.base if index in self._queues else int(stop(self, index))

        return stopping

    replace(Rings, "stop", running)


@fault("ST-DEV-2", "BAD-DEV-5")
def a_broken_ring_is_left_alone_silently() -> None:
    replace(Backend, "need_reset", lambda _: lambda _self: False)


@fault("LEG-VQ-2")
def big_endian_rings_are_read_as_little() -> None:
    replace(
        SplitRing,
        "__init__",
        lambda init: (
            lambda self, *rest, **named: init(self, *rest, **{**named, "byteorder": "little"})
        ),
    )
