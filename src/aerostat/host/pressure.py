"""Memory pressure of the host, from `/proc/pressure/memory` (Linux `accounting/psi.rst`).

Reads that file. Kernels before 4.20, and those built or booted without PSI, do not have it.
"""

import re
from pathlib import Path
from typing import NamedTuple

from aerostat.host.proc import read_small

PRESSURE = Path("/proc/pressure/memory")

_LINE = re.compile(r"^(some|full) avg10=([0-9.]{1,8}) .*total=([0-9]{1,20})$", re.MULTILINE)


class Pressure(NamedTuple):
    """Time lost for want of memory."""

    some_ratio: float
    """Share (0 to 1) of the last ten seconds in which some task waited."""
    some_seconds: float
    """The same since boot, in seconds."""
    full_ratio: float
    """Share (0 to 1) of the last ten seconds in which every task waited."""
    full_seconds: float
    """The same since boot, in seconds."""


def parse_pressure(text: str) -> Pressure | None:
    """Return what a PSI file tells; None if it is not one."""
    lines = {kind: (average, total) for kind, average, total in _LINE.findall(text)}
    try:
        (some_percent, some_us), (full_percent, full_us) = lines["some"], lines["full"]
        return Pressure(
            float(some_percent) / 100,
            int(some_us) / 1e6,
            float(full_percent) / 100,
            int(full_us) / 1e6,
        )
    except (KeyError, ValueError):
        return None


def read_pressure(path: Path = PRESSURE) -> Pressure | None:
    """Read the host's memory pressure now; None where the kernel does not tell it."""
    try:
        return parse_pressure(read_small(path))
    except OSError:
        return None
