"""What a round trip of statistics costs the device: against a bare eventfd ping-pong.

A real device process, changed only to ask again at once, and this process as its guest's driver:
the device returns the buffer and notifies, the driver refills it and kicks, the device wakes up,
takes the chain off the ring, and reads what it says. The rival is a process that does nothing but
wait on one eventfd and write another. Only the answering process's CPU counts; both pay for one
wake-up a round.

What a wake-up costs depends on where the other side runs: on the same CPU next to nothing, across
CPUs twenty times as much in a virtual machine. So both are told where to run: on one CPU, which
shows the cost of the program, and across two, as guests and devices mostly are.
"""

import contextlib
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.devices import Device, running_device
from bench.harness import Figure, Goal, Measure, cpu_while, in_turns, judge, main

from aerostat.units import MIB

_RIVAL = "a bare eventfd ping-pong"

_ONE = (1).to_bytes(8, "little")


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure round trips in a second of CPU."""
    rounds, repeats = (200, 1) if quick else (2000, 9)
    first, *others = sorted(os.sched_getaffinity(0))
    goals = Goal("ours", ">=", 20_000), Goal("ratio", ">=", 0.04)
    pairs = _measure(first, first, rounds, repeats)
    yield judge("statistics round trips, on one CPU", "1/CPU s", _RIVAL, pairs, *goals)
    if others:
        pairs = _measure(first, others[0], rounds, repeats)
        name = "statistics round trips, across CPUs"
        yield judge(name, "1/CPU s", _RIVAL, pairs, Goal("ratio", ">=", 0.2))


def _measure(asking: int, answering: int, rounds: int, repeats: int) -> list[tuple[float, ...]]:
    """Compare both where we run on the CPU `asking` and they on `answering`."""
    os.sched_setaffinity(0, [answering])  # what is started now stays there
    with _asking_device() as device, _echo() as (pid, kick, call):
        os.sched_setaffinity(0, [asking])
        ours = _per_cpu_second(device.pid, lambda: _converse(device, rounds), rounds)
        rival = _per_cpu_second(pid, lambda: _play(kick, call, rounds), rounds)
        return in_turns(ours, rival, repeats=repeats)


def _per_cpu_second(pid: int, action: Callable[[], None], rounds: int) -> Measure:
    return lambda: rounds / cpu_while(pid, action)


@contextlib.contextmanager
def _asking_device() -> Iterator[Device]:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        program = ["-m", "bench.device_variant", "asking"]
        with running_device(program, Path(directory), MIB) as device:
            device.send_statistics()  # from here on the device asks
            yield device


def _converse(device: Device, rounds: int) -> None:
    for _ in range(rounds):
        device.await_request()
        device.send_statistics()


@contextlib.contextmanager
def _echo() -> Iterator[tuple[int, int, int]]:
    """Start the rival; give its process number, and the eventfds to it and from it."""
    kick, call = os.eventfd(0, os.EFD_CLOEXEC), os.eventfd(0, os.EFD_CLOEXEC)
    process = multiprocessing.get_context("fork").Process(target=_answer, args=(kick, call))
    process.start()
    assert process.pid is not None
    try:
        yield process.pid, kick, call
    finally:
        process.kill()
        process.join()
        os.close(kick)
        os.close(call)


def _answer(kick: int, call: int) -> None:
    while True:
        os.read(kick, 8)
        os.write(call, _ONE)


def _play(kick: int, call: int, rounds: int) -> None:
    for _ in range(rounds):
        os.write(kick, _ONE)
        os.read(call, 8)


if __name__ == "__main__":
    main(run)
