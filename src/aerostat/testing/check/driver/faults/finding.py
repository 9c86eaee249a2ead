"""Has the kit look for each fault, and says which it finds, by which statements.

``python -m aerostat.testing.check.driver.faults.finding [--quick] [NAME...]`` prints a table; the
exit code is 1 if less than 95 % were found, or anything in guests without one. `--quick` plays only
the checks of the statements that the fault violates. Touches processes and a directory of its own.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from aerostat.testing.check.checks import Choice
from aerostat.testing.check.driver.all_checks import CHECKS
from aerostat.testing.check.driver.command import PLACE
from aerostat.testing.check.driver.faults.guest import SOUND, find
from aerostat.testing.check.driver.faults.terms import FAULTS, Fault
from aerostat.testing.check.driver.stage import DriverStage, Options
from aerostat.testing.check.running import run
from aerostat.testing.check.verdicts import Known, Outcome

#: The part of the faults that the kit must find.
ENOUGH = 0.95
#: Patient enough for a loaded machine, and no more, since some faults are drivers that hang. Only
#: reports take longer: every five seconds there is one.
_OPTIONS = Options(patience=2.0, start=5.0)
_REPORTS = Options(patience=12.0, start=5.0)
_MODULE = "aerostat.testing.check.driver.faults.guest"


class Found(NamedTuple):
    """What the kit found of a driver: the statements that it does not keep."""

    name: str
    wanted: tuple[str, ...]
    ids: tuple[str, ...]
    seconds: float

    @property
    def right(self) -> bool:
        """Whether one of the statements is not kept that the fault violates."""
        return bool({*self.wanted} & {*self.ids})


def look_for(fault: Fault, *, only: Sequence[str] = ()) -> Found:
    """Check a guest with this fault, and say what was found."""
    begin = time.monotonic()
    command = [sys.executable, "-P", "-m", _MODULE, fault.name, "--socket", PLACE]
    command += ["--size", "256MiB", "--reconnect"]
    slow = not fault.ids or any(id_.startswith("DRV-REP") for id_ in fault.ids)
    with (
        tempfile.TemporaryDirectory(prefix="aerostat-") as directory,
        DriverStage(command, Path(directory), _REPORTS if slow else _OPTIONS) as stage,
    ):
        stage.meet()
        # Of the process guest itself something is known.
        verdicts = list(run(stage, CHECKS, choice=Choice(only), known=Known("aerostat")))
    bad = (Outcome.FAIL, Outcome.WARNING)
    ids = dict.fromkeys(verdict.id for verdict in verdicts if verdict.outcome in bad)
    return Found(fault.name, fault.ids, tuple(ids), time.monotonic() - begin)


def main() -> int:
    """Look for the faults that are named, or for all; return the exit status."""
    quick = "--quick" in sys.argv
    names = [name for name in sys.argv[1:] if name != "--quick"] or list(FAULTS)
    found = []
    for name in names:
        fault = find(name)
        one = look_for(fault, only=fault.ids if quick else ())
        found.append(one)
        sign = "found" if one.right else "MISSED"
        print(f"{sign:<7} {one.name:<48} {one.seconds:5.1f} s  {' '.join(one.ids)}", flush=True)
    sound = [look_for(fault) for fault in SOUND.values()]
    for one in sound:
        print(f"{'false' if one.ids else 'none':<7} without a fault: {one.name} {one.ids}")
    share = sum(one.right for one in found) / len(found)
    print(f"{share:.0%} of {len(found)} found")
    return int(share < ENOUGH or any(one.ids for one in sound))


if __name__ == "__main__":
    sys.exit(main())
