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
from typing import NamedTuple

from aerostat.testing.check.checks import Choice
from aerostat.testing.check.device.faults.serving import find
from aerostat.testing.check.device.faults.terms import FAULTS, Fault
from aerostat.testing.check.device.options import Options
from aerostat.testing.check.device.session import session
from aerostat.testing.check.device.stage import SocketStage
from aerostat.testing.check.verdicts import Outcome

#: The part of the faults that the kit must find.
ENOUGH = 0.95
#: Patient enough for a loaded machine, and no more, since some faults are devices that hang.
_OPTIONS = Options(patience=1.0)
_MODULE = "aerostat.testing.check.device.faults.serving"


class Found(NamedTuple):
    """What the kit found of a device: the statements that it does not keep."""

    name: str
    wanted: tuple[str, ...]
    ids: tuple[str, ...]
    seconds: float

    @property
    def right(self) -> bool:
        """Whether one of the statements is not kept that the fault violates."""
        return bool({*self.wanted} & {*self.ids})


def look_for(fault: Fault | None, *, only: Sequence[str] = ()) -> Found:
    """Check a device with this fault, or the device as it is, and say what was found."""
    begin = time.monotonic()
    module = [_MODULE, fault.name] if fault else ["aerostat.device"]
    with tempfile.TemporaryDirectory(prefix="aerostat-check-") as directory:
        socket = Path(directory, "socket")
        paths = ["--socket", str(socket), "--control", str(Path(directory, "control"))]
        command = [sys.executable, "-P", "-m", *module, *paths, "--size", "256MiB"]
        if fault is None:
            command += ["--free-page-hint", "--packed-rings"]
        with SocketStage(socket, _OPTIONS, command) as stage:
            stage.meet()
            verdicts = list(session(stage, "both", Choice(only)))
    bad = (Outcome.FAIL, Outcome.WARNING)
    ids = dict.fromkeys(verdict.id for verdict in verdicts if verdict.outcome in bad)
    name, wanted = (fault.name, fault.ids) if fault else ("none", ())
    return Found(name, wanted, tuple(ids), time.monotonic() - begin)


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
    sound = look_for(None)
    print(f"{'false' if sound.ids else 'none':<7} the device as it is: {' '.join(sound.ids)}")
    share = sum(one.right for one in found) / len(found)
    print(f"{share:.0%} of {len(found)} found")
    return int(share < ENOUGH or bool(sound.ids))


if __name__ == "__main__":
    sys.exit(main())
