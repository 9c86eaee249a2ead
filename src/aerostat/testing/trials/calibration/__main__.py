"""``python -m aerostat.testing.trials.calibration``: hold the model against real guests."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aerostat.errors import AerostatError, UsageError
from aerostat.testing.guests.parts import find_newer_uml
from aerostat.testing.trials.calibration import agreement, modelled, report, runs
from aerostat.testing.trials.calibration.agreement import Pair
from aerostat.testing.trials.calibration.exercises import EXERCISES, SHORT, Exercise
from aerostat.testing.trials.calibration.runs import Run


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the runs that the options ask for, and a report; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help=f"{' and '.join(SHORT)}, once each")
    parser.add_argument("--exercises", metavar="NAMES", help="with commas between them")
    parser.add_argument("--runs", type=int, help="of each exercise; default: 3")
    parser.add_argument("--newer", action="store_true", help="user-mode Linux 6.12")
    parser.add_argument("--at-once", type=int, default=2, help="guests; default: 2")
    parser.add_argument("--again", action="store_true", help="compare with the runs that are kept")
    parser.add_argument("--output", type=Path, default=Path("build/calibration"), metavar="DIR")
    options = parser.parse_args(arguments)
    count = options.runs or (1 if options.short else 3)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    path = options.output / "runs.jsonl"
    try:
        chosen = _chosen(options.exercises, short=options.short)
        if not options.again:
            kernel = find_newer_uml().resolve() if options.newer else None
            made = asyncio.run(runs.make_all(chosen, count, say, kernel, options.at_once))
            runs.keep(made, path)
        made = runs.kept(path)
    except AerostatError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = compare(chosen, made)
    page = report.write(found, made, options.output)
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


def compare(exercises: Sequence[Exercise], made: Sequence[Run]) -> list[Pair]:
    """Return how far the model is from these runs."""
    found = []
    for exercise in exercises:
        counts = [run.counts for run in made if run.exercise == exercise.name]
        if counts:
            found += agreement.pairs(exercise, counts, modelled.play(exercise))
    return found


if __name__ == "__main__":
    sys.exit(main())
