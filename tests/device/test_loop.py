"""The loop: descriptors before turns, timers in their order, nothing for what was taken back."""

import os
from collections.abc import Iterator
from functools import partial

import pytest

from aerostat.device.loop import READ, WRITE, Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_what_is_ready_is_served_before_the_next_turn(loop: Loop, pipe: tuple[int, int]) -> None:
    done: list[str] = []

    def work() -> None:
        done.append("turn")
        if len(done) < 6:
            loop.call_soon(work)

    loop.watch(pipe[0], READ, lambda: done.append("ready"))
    os.write(pipe[1], b"x")
    loop.call_soon(work)
    for _ in range(3):
        loop.turn()
    assert done == ["ready", "turn"] * 3


def test_timers_fire_in_their_order_and_not_when_cancelled(loop: Loop) -> None:
    done: list[int] = []
    timers = [
        loop.call_later(seconds, partial(done.append, number))
        for number, seconds in enumerate((0.02, 0, 0.01, 0))
    ]
    timers[3].cancel()
    loop.call_later(0.03, loop.stop)
    loop.run()
    assert done == [1, 2, 0]
    assert not any(timer.pending for timer in timers)


def test_a_timer_may_be_far_away(loop: Loop, pipe: tuple[int, int]) -> None:
    loop.call_later(1 << 32, lambda: None)
    loop.watch(pipe[1], WRITE, loop.stop)
    loop.run()


def test_the_last_watch_of_a_descriptor_counts(loop: Loop, pipe: tuple[int, int]) -> None:
    done: list[str] = []
    loop.watch(pipe[1], READ, lambda: done.append("old"))
    loop.watch(pipe[1], WRITE, lambda: done.append("new"))
    loop.turn()
    loop.unwatch(pipe[1])
    loop.unwatch(pipe[1])
    loop.call_soon(lambda: None)
    loop.turn()
    assert done == ["new"]


def test_what_an_earlier_action_unwatched_is_not_served(loop: Loop) -> None:
    pipes = [os.pipe() for _ in range(2)]
    done: list[int] = []

    def serve(mine: int) -> None:
        done.append(mine)
        for reader, _ in pipes:
            loop.unwatch(reader)

    for number, (reader, writer) in enumerate(pipes):
        os.write(writer, b"x")
        loop.watch(reader, READ, partial(serve, number))
    loop.turn()
    assert len(done) == 1
    for pair in pipes:
        for descriptor in pair:
            os.close(descriptor)


def test_a_regular_file_cannot_be_waited_for(loop: Loop) -> None:
    descriptor = os.memfd_create("file")
    with pytest.raises(OSError, match="Operation not permitted"):
        loop.watch(descriptor, READ, lambda: None)
    os.close(descriptor)
