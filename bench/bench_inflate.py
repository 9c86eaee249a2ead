"""What taking memory costs the device: pages merged into ranges, against a punch a page.

A real device process serves this process, which is its front-end and its guest's driver: 256 page
numbers a request, one request at a time, as Linux does. All pages are populated before. The
rival is the same program, told to leave every page by itself. Three guests: a fresh one (every
request is one run), a fragmented one (runs of 16 pages), and one whose pages never adjoin, where
merging gains nothing and must not cost much.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.devices import Device, requests_of, running_device
from bench.harness import Figure, Goal, Measure, cpu_while, in_turns, judge, main

from aerostat.balloon.abi import Queue
from aerostat.units import GIB, MIB

# Pages of one run; bounds of our seconds a GiB and of the ratio.
_GUESTS = {
    "contiguous pages": (1 << 30, (Goal("ours", "<=", 0.35), Goal("ratio", "<=", 0.33))),
    "runs of 16 pages": (16, (Goal("ratio", "<=", 0.5),)),
    "scattered pages": (1, (Goal("ratio", "<=", 1.25),)),
}


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure CPU seconds a GiB for each guest, and system calls a GiB for the first."""
    size = 16 * MIB if quick else 128 * MIB
    repeats = 1 if quick else 5
    with contextlib.ExitStack() as stack:
        merged, separate = (
            stack.enter_context(_device(variant, size)) for variant in ("plain", "unmerged")
        )
        for guest, (run_pages, goals) in _GUESTS.items():
            requests = requests_of(size, run_pages)
            ours, rival = _cpu_per_gib(merged, requests), _cpu_per_gib(separate, requests)
            pairs = in_turns(ours, rival, repeats=repeats)
            name = f"device CPU, {guest}"
            yield judge(name, "s/GiB", "a punch a page", pairs, *goals)
        requests = requests_of(size, size)
        pairs = [(_punches_per_gib(merged, requests), _punches_per_gib(separate, requests))]
        name = "memory system calls, contiguous pages"
        yield judge(name, "1/GiB", "a punch a page", pairs, Goal("ours", "<=", 1100))


@contextlib.contextmanager
def _device(variant: str, size: int) -> Iterator[Device]:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        program = ["-m", "bench.device_variant", variant]
        with running_device(program, Path(directory), size) as device:
            yield device


def _cpu_per_gib(device: Device, requests: list[bytes]) -> Measure:
    def measure() -> float:
        device.populate()
        seconds = cpu_while(device.pid, lambda: device.exchange(Queue.INFLATE, requests))
        if device.memory.held >= device.size:
            raise RuntimeError("the device has given nothing back")
        return seconds * GIB / device.size

    return measure


def _punches_per_gib(device: Device, requests: list[bytes]) -> float:
    before = device.counters()["punches"]
    device.exchange(Queue.INFLATE, requests)
    return (device.counters()["punches"] - before) * GIB / device.size


if __name__ == "__main__":
    main(run)
