"""Bitbrains, GWA-T-12: 1 750 rented machines of 2013, some weeks each (`rnd`, `fastStorage`).

Adapter. Its memory usage is *active* memory, what was touched of late, so that a third more is
reckoned to be held. Of 500 machines half used 5 % on average and 47 % at most. To be had from the
archive, which asks to be acknowledged; no licence permits passing it on, so none of it is here.
"""

from pathlib import Path

from aerostat.simulator.traces import gwa
from aerostat.simulator.traces.trace import Trace


def read(path: Path, limit: int = 1000) -> list[Trace]:
    """Return the machines of a directory, or of one file. Raises `UsageError`."""
    return gwa.read(path, limit)
