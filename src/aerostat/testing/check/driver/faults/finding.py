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

from aerostat.testing.check.checks import Choice
from aerostat.testing.check.driver.all_checks import CHECKS
from aerostat.testing.check.driver.command import PLACE
from aerostat.testing.check.driver.faults.guest import SOUND
from aerostat.testing.check.driver.faults.terms import FAULTS
from aerostat.testing.check.driver.stage import DriverStage, Options
from aerostat.testing.check.running import run
from aerostat.testing.check.seeded import Fault, Found, look_for_all, not_kept
from aerostat.testing.check.verdicts import Known

#: Patient enough for a loaded machine, and no more, since some faults are drivers that hang. Only
#: reports take longer: every five seconds there is one.
_OPTIONS = Options(patience=2.0, start=5.0)
_REPORTS = Options(patience=12.0, start=5.0)
_MODULE = "aerostat.testing.check.driver.faults.guest"


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
    return Found(fault.name, fault.ids, not_kept(verdicts), time.monotonic() - begin)


if __name__ == "__main__":
    sys.exit(look_for_all(FAULTS, SOUND.values(), look_for))
