"""What samples cost with a hundred guests: against bare eventfds between as many processes.

A hundred device processes, and a hundred guests on them that do nothing but answer, all in one
process. Counted are the samples that arrived in a second of CPU time, that of the devices and of
the guests together. The rival is laid out in the same way, a hundred processes that ask and one
that answers, all in Python, but they do nothing else: one writes an eventfd, the other reads it and
writes another. That is the floor under any device that asks by a notification.

Two loads. *Once a second*, spread evenly, by each device's own timer: what a manager makes of it.
Every process is asleep, and out of every cache, when its turn comes. *Without a pause*, each asking
again as soon as it was answered: then waking up costs next to nothing, and what remains is the
price of a Python program against that of two system calls.
"""

import contextlib
import mmap
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from bench.devices import ROOT, stop_process
from bench.harness import Figure, Goal, Measure, cpu_of, in_turns, judge, main

from aerostat.testing.control_client import ControlClient
from aerostat.testing.mocks.guest_load import GuestLoad
from aerostat.units import MIB

_GUEST_SIZE = 4 * MIB
_ONE = (1).to_bytes(8, "little")
_RIVAL = "bare eventfd ping-pong"

# Seconds in which the paced begin one after the other, and for processes to come up.
_PERIOD = 1.0
_PATIENCE = 60.0


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure samples a second of CPU."""
    count, seconds, repeats = (8, 1.0, 1) if quick else (100, 4.0, 5)
    with _fleet("plain", count) as (devices, controls, guests):
        ours = _samples(devices, guests, seconds, lambda: _polling(controls))
        pairs = in_turns(ours, _ping_pong(count, seconds, _PERIOD), repeats=repeats)
    name = f"samples of {count} process guests, once a second"
    yield judge(name, "1/CPU s", _RIVAL, pairs, Goal("ratio", ">=", 0.4))
    with _fleet("asking", count) as (devices, _, guests):
        ours = _samples(devices, guests, seconds, contextlib.nullcontext)
        pairs = in_turns(ours, _ping_pong(count, seconds, 0.0), repeats=repeats)
    name = f"samples of {count} process guests, without a pause"
    yield judge(name, "1/CPU s", _RIVAL, pairs, Goal("ratio", ">=", 0.04))


# ---- ours


@contextlib.contextmanager
def _fleet(
    variant: str, count: int
) -> Iterator[tuple[Sequence[int], Sequence[ControlClient], GuestLoad]]:
    """Start `count` devices and their guests; give the processes, their controls, the guests."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, contextlib.ExitStack() as stack:
        sockets = [Path(name, f"{number}.vhost") for number in range(count)]
        controls = [Path(name, f"{number}.sock") for number in range(count)]
        pids = []
        for socket, control in zip(sockets, controls, strict=True):
            listening = ["--socket", str(socket), "--control", str(control)]
            command = [sys.executable, "-m", "bench.device_variant", variant, *listening]
            process = subprocess.Popen(command, cwd=ROOT)
            stack.callback(stop_process, process)
            pids.append(process.pid)
        _wait_for([*sockets, *controls])
        clients = [stack.enter_context(ControlClient(control)) for control in controls]
        load = GuestLoad(_GUEST_SIZE, [str(socket) for socket in sockets])
        yield pids, clients, stack.enter_context(load)


def _wait_for(paths: Sequence[Path]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not all(path.exists() for path in paths):
        if time.monotonic() > deadline:
            raise RuntimeError("not all devices came up")
        time.sleep(0.05)


@contextlib.contextmanager
def _polling(controls: Sequence[ControlClient]) -> Iterator[None]:
    """Have every device ask once a second, one after the other."""
    for control in controls:
        control.set("guest-stats-polling-interval", 1)
        time.sleep(_PERIOD / len(controls))
    yield
    for control in controls:
        control.set("guest-stats-polling-interval", 0)


def _samples(
    devices: Sequence[int],
    guests: GuestLoad,
    seconds: float,
    asking: Callable[[], contextlib.AbstractContextManager[None]],
) -> Measure:
    def measure() -> float:
        with asking():
            before, cpu = guests.work(), sum(map(cpu_of, devices))
            time.sleep(seconds)
            after, used = guests.work(), sum(map(cpu_of, devices)) - cpu
        answering = after.processor_seconds - before.processor_seconds
        return (after.samples - before.samples) / (used + answering)

    return measure


# ---- the rival


def _ping_pong(count: int, seconds: float, period: float) -> Measure:
    """Return what measures round trips a second of CPU, both sides together."""

    def measure() -> float:
        counter = mmap.mmap(-1, 8)
        asked, answered = _eventfds(count), _eventfds(count)
        pairs = list(zip(asked, answered, strict=True))
        pids = [_fork(partial(_answer, dict(pairs), counter))]
        for number, pair in enumerate(pairs):
            start = number * _PERIOD / count
            pids.append(_fork(partial(_ask, *pair, start, period)))
        time.sleep(2 * _PERIOD)  # all have begun
        before, cpu = _count(counter), sum(map(cpu_of, pids))
        time.sleep(seconds)
        after, used = _count(counter), sum(map(cpu_of, pids)) - cpu
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for descriptor in (*asked, *answered):
            os.close(descriptor)
        counter.close()
        return (after - before) / used

    return measure


def _eventfds(count: int) -> list[int]:
    return [os.eventfd(0, os.EFD_CLOEXEC) for _ in range(count)]


def _count(counter: mmap.mmap) -> int:
    return int.from_bytes(counter[:8], "little")


def _fork(action: Callable[[], NoReturn]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            action()
        finally:
            os._exit(1)
    return pid


def _ask(asked: int, answered: int, start: float, period: float) -> NoReturn:
    time.sleep(start)
    while True:
        if period:
            time.sleep(period)
        os.write(asked, _ONE)
        os.read(answered, 8)


def _answer(answered: dict[int, int], counter: mmap.mmap) -> NoReturn:
    poll = select.epoll()
    for descriptor in answered:
        poll.register(descriptor, select.EPOLLIN)
    count = 0
    while True:
        for descriptor, _ in poll.poll():
            os.read(descriptor, 8)
            os.write(answered[descriptor], _ONE)
            count += 1
        counter[:8] = count.to_bytes(8, "little")


if __name__ == "__main__":
    main(run)
