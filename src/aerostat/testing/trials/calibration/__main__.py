"""``python -m aerostat.testing.trials.calibration``: hold the model against real guests."""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from aerostat.errors import AerostatError, UsageError
from aerostat.testing.guests.parts import find_newer_uml
from aerostat.testing.trials.calibration import agreement, modelled, real, report
from aerostat.testing.trials.calibration.agreement import Pair
from aerostat.testing.trials.calibration.counts import Counts
from aerostat.testing.trials.calibration.exercises import EXERCISES, SHORT, Exercise


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the runs that the options ask for, and a report; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help=f"{' and '.join(SHORT)}, once each")
    parser.add_argument("--exercises", metavar="NAMES", help="with commas between them")
    parser.add_argument("--runs", type=int, help="of each exercise; default: 3")
    parser.add_argument("--newer", action="store_true", help="user-mode Linux 6.12")
    parser.add_argument("--at-once", type=int, default=2, help="guests; default: 2")
    parser.add_argument("--output", type=Path, default=Path("build/calibration"), metavar="DIR")
    options = parser.parse_args(arguments)
    runs = options.runs or (1 if options.short else 3)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    try:
        chosen = _chosen(options.exercises, short=options.short)
        kernel = find_newer_uml().resolve() if options.newer else None
        made = asyncio.run(make_all(chosen, runs, say, kernel=kernel, at_once=options.at_once))
    except AerostatError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found, releases = made
    page = report.write(found, releases, runs, options.output)
    print(report.said(found))
    print(f"report: {page}")
    return 0


def _chosen(names: str | None, *, short: bool) -> list[Exercise]:
    """Return the exercises of these names. Raises `UsageError`."""
    wanted = names.split(",") if names else SHORT if short else [one.name for one in EXERCISES]
    known = {exercise.name: exercise for exercise in EXERCISES}
    for name in wanted:
        if name not in known:
            raise UsageError(f"no exercise is called {name!r}; there is {', '.join(known)}")
    return [known[name] for name in wanted]


async def make_all(
    exercises: Sequence[Exercise],
    runs: int,
    say: Callable[[str], None],
    *,
    kernel: Path | None = None,
    at_once: int = 1,
) -> tuple[list[Pair], list[str]]:
    """Play all exercises in both; return how far apart they are, and the kernels' releases.

    Raises `AerostatError`.
    """
    turns = asyncio.Semaphore(at_once)

    async def make(exercise: Exercise) -> tuple[Counts, str]:
        async with turns:
            made = await real.play(exercise, kernel)
        say(f"{exercise.name} played")
        return made

    tasks = [asyncio.ensure_future(make(one)) for one in exercises for _ in range(runs)]
    try:
        made = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    found: list[Pair] = []
    for number, exercise in enumerate(exercises):
        counts = [count for count, _ in made[number * runs : (number + 1) * runs]]
        found += agreement.pairs(exercise, counts, modelled.play(exercise))
    return found, sorted({release for _, release in made})


if __name__ == "__main__":
    sys.exit(main())
