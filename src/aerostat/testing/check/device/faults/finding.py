"""Has the kit look for each fault, and says which it finds, by which statements.

``python -m aerostat.testing.check.device.faults.finding [--quick] [NAME...]`` prints a table; the
exit code is 1 if less than 95 % were found, or any in the device as it is. `--quick` plays only the
checks of the statements that the fault violates. Touches processes and a directory of its own.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from aerostat.testing.check.checks import Choice
from aerostat.testing.check.device.faults import serving
from aerostat.testing.check.device.faults.terms import FAULTS
from aerostat.testing.check.device.options import Options
from aerostat.testing.check.device.session import session
from aerostat.testing.check.device.stage import SocketStage
from aerostat.testing.check.seeded import Fault, Found, look_for_all, not_kept

#: Patient enough for a loaded machine, and no more, since some faults are devices that hang.
_OPTIONS = Options(patience=1.0)
_MODULE = serving.__name__


#: The device as it is, with all that it can do.
_SOUND = Fault("the device as it is", (), lambda: None, ("--free-page-hint", "--packed-rings"))


def look_for(fault: Fault, *, only: Sequence[str] = ()) -> Found:
    """Check a device with this fault, and say what was found."""
    begin = time.monotonic()
    module = ["aerostat.device", *fault.options] if fault is _SOUND else [_MODULE, fault.name]
    with tempfile.TemporaryDirectory(prefix="aerostat-check-") as directory:
        socket = Path(directory, "socket")
        paths = ["--socket", str(socket), "--control", str(Path(directory, "control"))]
        command = [sys.executable, "-P", "-m", *module, *paths, "--size", "256MiB"]
        with SocketStage(socket, _OPTIONS, command) as stage:
            stage.meet()
            verdicts = list(session(stage, "both", Choice(only)))
    return Found(fault.name, fault.ids, not_kept(verdicts), time.monotonic() - begin)


if __name__ == "__main__":
    sys.exit(look_for_all(FAULTS, [_SOUND], look_for))
