"""How long the command takes to come up: against a Python that does nothing.

CPU time of the whole process, user and system: on an idle machine it is what one waits for, and on
a busy one it is what the command itself is to blame for.
"""

import resource
import subprocess
import sys
from collections.abc import Iterator

from bench.harness import Figure, Goal, Measure, in_turns, judge, main


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure CPU milliseconds of a process."""
    ours = _milliseconds([sys.executable, "-m", "aerostat", "--version"])
    rival = _milliseconds([sys.executable, "-c", "pass"])
    pairs = in_turns(ours, rival, repeats=1 if quick else 15)
    yield judge("aerostat --version", "ms", "python -c pass", pairs, Goal("excess", "<=", 100.0))


def _milliseconds(command: list[str]) -> Measure:
    def measure() -> float:
        before = _children_cpu()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return (_children_cpu() - before) * 1000

    return measure


def _children_cpu() -> float:
    """Return the CPU seconds of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(run)
