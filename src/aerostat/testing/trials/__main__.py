"""``python -m aerostat.testing.trials``: make a trial, and write a report of it."""

import argparse
import asyncio
import sys
import time
from pathlib import Path

from aerostat.errors import AerostatError
from aerostat.testing.trials import house, plan, verdict
from aerostat.testing.trials.report import write


def main() -> int:
    """Make the trial that the options ask for; return 0 where every promise was kept, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a minute instead of ten")
    parser.add_argument("--for", dest="seconds", type=float, help="how long, in seconds")
    parser.add_argument("--report", type=Path, default=Path("build/trial"), help="a directory")
    options = parser.parse_args()
    make = plan.short if options.short else plan.whole
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    chosen = make() if options.seconds is None else make(options.seconds)
    try:
        record = asyncio.run(house.make(chosen, say))
    except AerostatError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    verdicts = verdict.judge(record)
    page = write(record, verdicts, options.report)
    for one in verdicts:
        print(f"{'kept  ' if one.kept else 'BROKEN'}  {one.promise}: {one.seen}")
    print(f"report: {page}")
    return 0 if all(one.kept for one in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
