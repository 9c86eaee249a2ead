"""All runs in real guests, and a file of them, so that another model can be held against them.

Touches the laboratory, and the file.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from aerostat.errors import UsageError
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.trials.calibration import real
from aerostat.testing.trials.calibration.counts import Counts
from aerostat.testing.trials.calibration.exercises import SIZE, Exercise


class Run(NamedTuple):
    """One exercise, played once."""

    exercise: str
    release: str
    """The kernel's."""
    counts: Counts


async def make_all(
    exercises: Sequence[Exercise],
    count: int,
    say: Callable[[str], None],
    kernel: Path | None = None,
    at_once: int = 1,
) -> list[Run]:
    """Play each exercise `count` times in user-mode Linux. Raises what the first to fail raises."""
    turns = asyncio.Semaphore(at_once)

    async def make(exercise: Exercise, number: int) -> Run:
        async with turns:
            name = f"{exercise.name}-{number}"
            counts, release = await real.play(laboratory, name, exercise, kernel)
            say(f"{name} played")
            return Run(exercise.name, release, counts)

    async with Laboratory(memory=SIZE * at_once) as laboratory:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(make(exercise, number))
                    for number in range(1, count + 1)
                    for exercise in exercises
                ]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


def keep(runs: Iterable[Run], path: Path) -> None:
    """Write runs down, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps([run.exercise, run.release, run.counts.values, run.counts.balloon])
        for run in runs
    ]
    path.write_text("\n".join(lines) + "\n")


def kept(path: Path) -> list[Run]:
    """Return the runs that `keep` wrote. Raises `UsageError` where there are none."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise UsageError(f"no runs are kept: {error}") from error
    runs = []
    for number, line in enumerate(lines, 1):
        try:
            exercise, release, values, balloon = json.loads(line)
            sizes = [(float(at), float(size)) for at, size in balloon]
            runs.append(Run(str(exercise), str(release), Counts(dict(values), sizes)))
        except (ValueError, TypeError) as error:
            raise UsageError(f"{path}, line {number}: no run: {error}") from error
    return runs
