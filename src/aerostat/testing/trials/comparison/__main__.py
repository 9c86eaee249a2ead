"""``python -m aerostat.testing.trials.comparison``: compare policies on real guests."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aerostat.errors import AerostatError, MissingError, UsageError
from aerostat.testing.trials.comparison import drivers, report, schedule, simulated
from aerostat.testing.trials.comparison.harm import Score
from aerostat.testing.trials.comparison.inhabitants import KINDS, VIRTUAL, Kind
from aerostat.testing.trials.comparison.rivals import contender
from aerostat.testing.trials.comparison.running import Job
from aerostat.testing.trials.comparison.scenes import SCENES

_SHORT = 4  # guests


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the runs that the options ask for, and a report; return the exit status."""
    options = _options(arguments)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    kinds: Sequence[Kind] = VIRTUAL if options.accel else KINDS
    kinds = kinds[: _SHORT if options.short else None]
    try:
        listed = _jobs(options)
        options.output.mkdir(parents=True, exist_ok=True)
        path = options.output / "runs.jsonl"
        made = asyncio.run(schedule.make_all(listed, kinds, path, say, accelerator=options.accel))
        found, note = _simulated(listed, kinds)
    except AerostatError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    failed = schedule.failed(listed, made)
    page = report.write(made, failed, kinds, found, options.output, note=note)
    print("\n".join(report.lines(report.summary(made, failed, kinds, found))))
    if note:
        print(note)
    print(f"report: {page}")
    return 1 if failed else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="four guests, one scene, 20 s a run")
    parser.add_argument("--policies", default="aerostat,mom,proxmox")
    parser.add_argument("--workloads", metavar="SCENES", help=", ".join(SCENES))
    parser.add_argument("--runs", type=int, help="of each policy in each scene; default: 3")
    parser.add_argument("--seconds", type=float, help="that are counted in a run; default: 60")
    parser.add_argument("--accel", help="QEMU's -accel, such as kvm: all guests are in QEMU then")
    parser.add_argument("--output", type=Path, default=Path("build/comparison"), metavar="DIR")
    options = parser.parse_args(arguments)
    options.workloads = options.workloads or ("files" if options.short else ",".join(SCENES))
    options.runs = options.runs or (1 if options.short else 3)
    options.seconds = options.seconds or (20.0 if options.short else 60.0)
    return options


def _jobs(options: argparse.Namespace) -> list[Job]:
    """Return what the options ask for. Raises `UsageError`."""
    scenes, policies = options.workloads.split(","), options.policies.split(",")
    for scene in scenes:
        if scene not in SCENES:
            raise UsageError(f"no workload is called {scene!r}; there is {', '.join(SCENES)}")
    for policy in policies:
        if policy != drivers.OURS:
            contender(policy)
    return schedule.jobs(scenes, policies, runs=options.runs, seconds=options.seconds)


def _simulated(
    listed: Sequence[Job], kinds: Sequence[Kind]
) -> tuple[dict[str, dict[str, Score]], str]:
    """Return what the simulator finds, by scene, and why it finds nothing."""
    found: dict[str, dict[str, Score]] = {}
    jobs = [job for job in listed if job.policy != drivers.NOBODY]
    try:
        for scene in dict.fromkeys(job.scene for job in jobs):
            found[scene] = simulated.scores([job for job in jobs if job.scene == scene], kinds)
    except MissingError as error:
        return {}, f"The simulator was not asked: {error}"
    return found, ""


if __name__ == "__main__":
    sys.exit(main())
