"""A thousand guests on one processor, looked at once a second, in time.

A real ``aerostat run`` that manages, with its journal and its API, alone on one processor; on the
other a thousand monitors (`bench.crowd`), QEMU's and then our devices', whose figures never rest.
They note when each guest was looked at. *Late* is a look by as much as it came later than one
interval after the one before. Meanwhile somebody asks for all guests and for the metrics, every
few seconds. The host has a little more than what the guests need together: balloons move all the
time.

The rival of the lateness is a bare loop that only sleeps from one second to the next, run before
in the same place. The other figures stand beside limits. What a guest holds is not read from
``/proc``, as behind these monitors is no QEMU.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from bench.crowd import LOOKS, SIZE
from bench.devices import start_process, stop_process
from bench.harness import Figure, Goal, cpu_of, judge, main
from bench.managers import RunningManager, keep_to, running_manager

_INTERVAL = 1.0
_ASK_EVERY = 5.0
_SETTLE = 15.0
_RIVAL = "a loop that only sleeps"
_WHOSE = {"qemu": "QEMU's balloons", "device": "our devices"}

# A look that comes later than half an interval was missed.
_MISSED = 0.5

_CONFIG = """\
interval = {interval}
manage = true
[host]
budget = "{budget}B"
[[connector]]
kind = "qmp"
sockets = ["{directory}/*.sock"]
"""


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure lateness and what the manager needs."""
    count, seconds = (200, 5.0) if quick else (1000, 60.0)
    bare = percentile(_bare_lateness(seconds), 0.99)
    for kind, whose in _WHOSE.items():
        with _house(kind, count) as (manager, directory):
            manager.await_guests(count)
            time.sleep(_SETTLE / 5 if quick else _SETTLE)
            yield from _measure(manager, directory, f"{count} guests, {whose}", seconds, bare)


def _measure(
    manager: RunningManager, directory: Path, whose: str, seconds: float, bare: float
) -> Iterator[Figure]:
    _looks(directory)
    ticks, cpu, began = len(manager.tick_durations()), cpu_of(manager.pid), time.monotonic()
    threads = 0
    while time.monotonic() < began + seconds:
        time.sleep(_ASK_EVERY)
        manager.client.guests()
        manager.metrics()
        threads = max(threads, int(manager.status("Threads")))
    looks, took = _looks(directory), time.monotonic() - began
    used = (cpu_of(manager.pid) - cpu) / took
    late, missed = lateness(looks, _INTERVAL, took)
    durations = manager.tick_durations()[ticks:]
    peak = int(manager.status("VmHWM").split()[0]) / 1024
    for part in (0.99, 0.5, 1.0):
        goals = [Goal("ours", "<=", 100)] if part == 0.99 else []
        name = {
            0.99: "99 in 100 looks are late by at most",
            0.5: "half the looks",
            1.0: "all looks",
        }
        value = percentile(late, part) * 1000
        yield judge(f"{name[part]}: {whose}", "ms", _RIVAL, [(value, bare * 1000)], *goals)
    total = sum(map(len, looks))
    came = total / (total + missed)
    yield judge(f"looks that came: {whose}", "share", "all", [(came, 1.0)], Goal("ours", ">=", 1))
    yield _beside_limit(f"resident: {whose}", "MiB", peak, 100)
    yield _beside_limit(f"threads: {whose}", "", threads, 8)
    share = judge(f"CPU: {whose}", "% of a core", "one core", [(100 * used, 100.0)])
    yield share
    tick = percentile(durations, 0.5) * 1000
    yield judge(f"a tick: {whose}", "ms", "the interval", [(tick, _INTERVAL * 1000)])
    tick = percentile(durations, 0.99) * 1000
    yield judge(f"99 in 100 ticks: {whose}", "ms", "the interval", [(tick, _INTERVAL * 1000)])


def _beside_limit(name: str, unit: str, value: float, limit: float) -> Figure:
    return judge(name, unit, "the limit", [(value, limit)], Goal("ours", "<=", limit))


def lateness(
    looks: Sequence[Sequence[float]], interval: float, seconds: float
) -> tuple[list[float], int]:
    """Return by how much each look was late within `seconds`, and how many looks were missed.

    `looks` are for each guest the moments at which it was looked at. Those that came early, as
    balloons on their way are followed, are left out: they would make the rest look better.
    """
    gaps = [later - before for moments in looks for before, later in pairwise(moments)]
    late = sorted(max(gap - interval, 0.0) for gap in gaps)
    missed = sum(int(gap / interval - _MISSED) for gap in gaps)
    missed += sum(int(seconds / interval) for moments in looks if not moments)
    return late[-int(len(looks) * seconds / interval) :], missed


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that `part` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


@contextmanager
def _house(kind: str, count: int) -> Iterator[tuple[RunningManager, Path]]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        program = ["-m", "bench.crowd", kind, str(count), name]
        crowd = start_process(program, directory / f"{count - 1}.sock")
        keep_to(crowd.pid, _processors()[1])
        budget = count * SIZE // 10 * 6
        config = _CONFIG.format(interval=_INTERVAL, budget=budget, directory=directory)
        try:
            with running_manager(directory, config, options=[], cpu=_processors()[0]) as manager:
                yield manager, directory
        finally:
            stop_process(crowd)


def _processors() -> tuple[int, int]:
    """Return two processors; the same twice where there is only one."""
    first, *others = sorted(os.sched_getaffinity(0))
    return first, (others or [first])[0]


def _looks(directory: Path) -> list[list[float]]:
    """Return when each guest was looked at since this was asked last."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(directory / LOOKS))
        parts = []
        while part := connection.recv(1 << 20):
            parts.append(part)
    found: list[list[float]] = json.loads(b"".join(parts))
    return found


_SLEEPER = """
import asyncio, json, sys, time
async def sleep(count, interval):
    late, due = [], time.monotonic()
    for _ in range(count):
        due += interval
        await asyncio.sleep(due - time.monotonic())
        late.append(time.monotonic() - due)
    print(json.dumps(late))
asyncio.run(sleep(int(sys.argv[1]), float(sys.argv[2])))
"""


def _bare_lateness(seconds: float) -> list[float]:
    count = max(int(seconds / _INTERVAL), 1)
    command = [sys.executable, "-c", _SLEEPER, str(count), str(_INTERVAL)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        keep_to(process.pid, _processors()[0])
        output, _ = process.communicate()
    found: list[float] = json.loads(output)
    return found


if __name__ == "__main__":
    main(run)
