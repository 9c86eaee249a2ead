"""What a device process weighs: against a bare process with asyncio in it.

The device has served a guest before it is weighed: statistics, and 64 MiB taken and given back
page by page and in runs. Its weight is what the host would get back if it ended: the private
pages of ``/proc/PID/smaps_rollup``. The guest's own memory is shared, and is not counted. The rival
does nothing at all: the least that a device on asyncio would weigh.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.devices import Device, requests_of, running_device
from bench.harness import Figure, Goal, in_turns, judge, main

from aerostat.balloon.abi import Queue
from aerostat.units import MIB

_GUEST_SIZE = 64 * MIB

_RIVAL = """
import asyncio, sys
async def idle():
    sys.stdout.write("ready")
    sys.stdout.flush()
    await asyncio.sleep(600)
asyncio.run(idle())
"""


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure private memory in MiB."""
    pairs = in_turns(_device_weight, _rival_weight, repeats=1 if quick else 3)
    goals = Goal("ours", "<=", 8.0), Goal("ratio", "<=", 1.0)
    yield judge("private memory of a device", "MiB", "an idle asyncio process", pairs, *goals)


def _device_weight() -> float:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        program = ["-m", "aerostat.device"]
        with running_device(program, Path(directory), _GUEST_SIZE) as device:
            _keep_busy(device)
            return _private_mib(device.pid)


def _keep_busy(device: Device) -> None:
    device.send_statistics()
    for run_pages in (_GUEST_SIZE, 16, 1):
        requests = requests_of(_GUEST_SIZE, run_pages)
        device.populate()
        device.exchange(Queue.INFLATE, requests)
        device.exchange(Queue.DEFLATE, requests)
    for _ in range(100):
        device.counters()


def _rival_weight() -> float:
    command = [sys.executable, "-c", _RIVAL]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(5)
        weight = _private_mib(process.pid)
        process.kill()
    return weight


def _private_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    private = ("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:")
    return sum(int(line.split()[1]) for line in lines if line.startswith(private)) / 1024


if __name__ == "__main__":
    main(run)
