"""Faults in a driver's statistics."""

# ruff: noqa: D103, SLF001 - names say what is wrong, and that is planted where nobody has business

from collections.abc import Mapping
from typing import Any

from aerostat.balloon import driver_statistics
from aerostat.balloon.abi import Queue
from aerostat.balloon.driver import BalloonDriver
from aerostat.balloon.driver_events import StatisticsWanted
from aerostat.balloon.driver_statistics import Answers
from aerostat.process_guest.work import BalloonWork
from aerostat.testing.check.driver.faults.terms import fault, replace

_SOON = 0.1  # seconds
_SPARE = 32 * 1024  # an address in the memory that is set apart for rings and buffers


def _encoding(change: Any) -> None:
    """Have `change(payload, number)` make the buffer that is sent as the `number`th."""
    sent = 0

    def changed(encode: Any) -> Any:
        def encoding(statistics: Mapping[int, int], byteorder: Any) -> bytes:
            nonlocal sent
            sent += 1
            made: bytes = change(encode(statistics, byteorder), sent)
            return made

        return encoding

    replace(driver_statistics, "encode", changed)


@fault("DRV-STATS-1")
def sends_a_second_buffer_unasked() -> None:
    def impatient(run: Any) -> Any:
        def running(self: BalloonWork) -> None:
            run(self)
            ring = self.rings.rings[Queue.STATS]

            def add() -> None:
                ring.add([(_SPARE, 10)])
                self.rings.kick(Queue.STATS)

            self._loop.call_later(_SOON, add)

        return running

    replace(BalloonWork, "run", impatient)


@fault("DRV-STATS-2")
def sends_no_first_buffer() -> None:
    def silent(_: Any) -> Any:
        def beginning(self: Answers, statistics: Mapping[int, int], **_: bool) -> None:
            self._tags = tuple(statistics)

        return beginning

    replace(Answers, "begin", silent)


@fault("DRV-STATS-3")
def answers_three_times_only() -> None:
    answered = 0

    def tired(send: Any) -> Any:
        def sending(self: BalloonDriver, statistics: Mapping[int, int]) -> None:
            nonlocal answered
            answered += 1
            if answered <= 3:
                send(self, statistics)

        return sending

    replace(BalloonDriver, "send_statistics", tired)


@fault("DRV-STATS-3", "DRV-STATS-4")
def sends_buffers_to_be_written() -> None:
    def writable(_: Any) -> Any:
        def sending(self: Answers, statistics: Mapping[int, int]) -> None:
            del statistics
            self._lane.lend([(self._lane._buffer, len(self._tags) * 10)], StatisticsWanted())

        return sending

    replace(Answers, "send", writable)


@fault("DRV-STATS-4")
def sends_empty_buffers() -> None:
    def empty(payload: bytes, number: int) -> bytes:
        return payload if number == 1 else payload[:0]

    _encoding(empty)


@fault("DRV-STATS-4")
def sends_the_same_figures_for_ever() -> None:
    first: list[bytes] = []

    def stale(payload: bytes, _: int) -> bytes:
        first.append(payload)
        return first[0]

    _encoding(stale)


@fault("DRV-STATS-5")
def cuts_the_last_entry_short() -> None:
    _encoding(lambda payload, _: payload[:-3])


@fault("DRV-STATS-5", "DRV-STATS-4")
def sends_entries_of_twelve_bytes() -> None:
    def padded(payload: bytes, _: int) -> bytes:
        entries = [payload[at : at + 10] for at in range(0, len(payload) - 10, 10)]
        return b"".join(entry + bytes(2) for entry in entries)

    _encoding(padded)


@fault("DRV-STATS-8")
def leaves_a_figure_out_now_and_then() -> None:
    _encoding(lambda payload, number: payload[:-10] if number % 3 == 0 else payload)


@fault("VQ-DRV-10")
def writes_into_a_buffer_that_it_has_sent() -> None:
    def restless(run: Any) -> Any:
        def running(self: BalloonWork) -> None:
            run(self)
            lane = self.driver._lanes[Queue.STATS]
            count = 0

            def write() -> None:
                nonlocal count
                count += 1
                lane._memory.write(lane._buffer + 2, count.to_bytes(8, "little"))
                self._loop.call_later(_SOON, write)

            write()

        return running

    replace(BalloonWork, "run", restless)


@fault("USE-DRV-1")
def answers_only_while_nothing_else_is_to_be_done() -> None:
    def single_minded(service: Any) -> Any:
        def serving(self: BalloonDriver, queue: Queue) -> Any:
            if queue is Queue.STATS and self._lanes[Queue.INFLATE].request is not None:
                return []
            return service(self, queue)

        return serving

    replace(BalloonDriver, "service", single_minded)
