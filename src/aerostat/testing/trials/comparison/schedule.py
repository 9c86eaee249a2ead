"""All runs of a comparison, in shuffled order, each kept in a file as it is made.

What was interrupted goes on where it was: a run that is in the file is not made again. One that
fails is tried once more at the end, and costs no other. Touches the file.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from aerostat.errors import AerostatError, MissingError, UsageError
from aerostat.testing.trials.comparison import running
from aerostat.testing.trials.comparison.drivers import NOBODY
from aerostat.testing.trials.comparison.inhabitants import Kind
from aerostat.testing.trials.comparison.running import Job, Run
from aerostat.testing.trials.comparison.scenes import WARM_UP

Say = Callable[[str], None]

# What booting, settling and ending takes, until it is known better.
_AROUND = 30.0
# Far more than a run takes: guests that thrash are slow to answer.
_PATIENCE = 6.0


def jobs(scenes: Sequence[str], policies: Sequence[str], *, runs: int, seconds: float) -> list[Job]:
    """Return what is to be run, the policies of each seed in an order of their own.

    Nobody moves anything in one run of each scene, for what guests lose with all their memory.
    """
    listed = [Job(scene, NOBODY, 1, seconds) for scene in scenes]
    for seed in range(1, runs + 1):
        for scene in scenes:
            order = list(policies)
            random.Random(f"{scene} {seed}").shuffle(order)  # noqa: S311 - an order, not a secret
            listed += [Job(scene, policy, seed, seconds) for policy in order]
    return listed


def read(path: Path) -> list[Run]:
    """Return the runs in a file; none where it is not there.

    A last line that was cut off is left out. Raises `UsageError` for any other that is no run.
    """
    if not path.exists():
        return []
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        path.write_bytes(b"".join(line + b"\n" for line in lines))
    made = []
    for number, line in enumerate(lines, 1):
        try:
            made.append(msgspec.json.decode(line, type=Run))
        except msgspec.DecodeError as error:
            raise UsageError(f"{path}, line {number}: no run: {error}") from error
    return made


async def make_all(
    listed: Sequence[Job],
    kinds: Sequence[Kind],
    path: Path,
    say: Say,
    *,
    accelerator: str | None = None,
) -> list[Run]:
    """Make the runs that are not in the file `path` yet, and return all of those listed.

    Raises `MissingError` where a part of the laboratory is missing, and `UsageError`.
    """
    made = {run.job: run for run in read(path) if not run.error}
    for again in (False, True):
        missing = [job for job in listed if job not in made]
        took: list[float] = []
        for number, job in enumerate(missing, 1):
            each = sum(took) / len(took) if took else job.seconds + WARM_UP + _AROUND
            left = (len(missing) - number + 1) * each / 60
            say(f"{number} of {len(missing)}: {job.title}; about {left:.0f} min to go")
            run = await _make(job, kinds, accelerator)
            with path.open("ab") as file:
                file.write(msgspec.json.encode(run) + b"\n")
            if run.error:
                say(f"it failed{'' if again else ', and will be tried again'}: {run.error}")
            else:
                made[job] = run
                took.append(run.took)
    return [made[job] for job in listed if job in made]


async def _make(job: Job, kinds: Sequence[Kind], accelerator: str | None) -> Run:
    began = time.monotonic()
    limit = _PATIENCE * (job.seconds + WARM_UP + _AROUND)
    try:
        async with asyncio.timeout(limit):
            return await running.make(job, kinds, accelerator)
    except MissingError:
        raise  # it would be missing the next time, too
    except (AerostatError, TimeoutError, OSError) as error:
        run = Run(job, running.budget(kinds))
        run.error = str(error) or f"not done within {limit:.0f} s"
        run.took = time.monotonic() - began
        return run


def failed(listed: Iterable[Job], made: Iterable[Run]) -> list[Job]:
    """Return the jobs that came to nothing."""
    there = {run.job for run in made}
    return [job for job in listed if job not in there]
