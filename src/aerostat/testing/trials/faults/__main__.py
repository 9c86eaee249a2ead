"""``python -m aerostat.testing.trials.faults``: make a campaign, and write a report of it."""

import argparse
import asyncio
import secrets
import signal
import sys
import time
from pathlib import Path

from aerostat.errors import AerostatError, MissingError
from aerostat.testing.guests import uml
from aerostat.testing.processes import libvirtd
from aerostat.testing.trials.faults import campaign, report
from aerostat.testing.trials.faults.record import Record
from aerostat.testing.trials.faults.schedule import (
    BRISK,
    DOMAIN,
    KINDS,
    PROCESSES,
    UML,
    WHOLE,
    Resident,
    Schedule,
)
from aerostat.testing.trials.faults.stay import Say


def residents(say: Say) -> tuple[Resident, ...]:
    """Return who can live here: process guests always, the others where there is what they need."""
    there = list(PROCESSES)
    for one, find in ((UML, uml.find_kernel), (DOMAIN, libvirtd.find_program)):
        try:
            find()
        except MissingError as error:
            say(f"without {one.name}: {error}")
        else:
            there.append(one)
    return tuple(there)


def main() -> int:
    """Make the campaign that is asked for; return 0 where every promise was kept, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m aerostat.testing.trials.faults", description=__doc__
    )
    parser.add_argument("--faults", type=int, default=1000, metavar="N", help="how many (1000)")
    parser.add_argument("--seed", type=int, help="what chooses them; by default another each time")
    parser.add_argument("--first", type=int, default=1, metavar="N", help="begin with fault N")
    parser.add_argument(
        "--only", action="append", default=[], metavar="KIND", help="a kind, or a word of its name"
    )
    parser.add_argument("--brisk", action="store_true", help="short faults, quickly one by one")
    parser.add_argument("--list", action="store_true", help="say which kinds there are")
    parser.add_argument("--report", type=Path, default=Path("build/faults"), help="a directory")
    options = parser.parse_args()
    if options.list:
        for name, kind in KINDS.items():
            print(f"{name:22}{kind.what}")
        return 0
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", file=sys.stderr, flush=True)

    seed = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    tempo = BRISK if options.brisk else WHOLE
    schedule = Schedule(residents(say), seed, tuple(options.only), tempo)
    say(f"seed {seed}")

    async def make() -> Record:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await campaign.make(
            schedule,
            options.faults,
            say,
            first=options.first,
            keep=options.report,
            on_round=lambda record: report.write_data(record, options.report),
        )

    try:
        record = asyncio.run(make())
    except AerostatError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    page = report.write(record, options.report)
    print(report.text(record))
    print(f"report: {page}")
    return 1 if record.found else 0


if __name__ == "__main__":
    sys.exit(main())
