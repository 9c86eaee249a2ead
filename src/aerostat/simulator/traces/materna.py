"""Materna, GWA-T-13: three months of some 530 machines of a German company, 2015 and 2016.

Adapter. The format is that of GWA-T-12 with quotes, decimal commas, dates, and the size of the
disk; what is used is *active* memory here, too. To be had from the archive, which asks to be
acknowledged; no licence permits passing it on, so none of it is here.
"""

from pathlib import Path

from aerostat.simulator.traces import gwa
from aerostat.simulator.traces.trace import Trace


def read(path: Path, limit: int = 1000) -> list[Trace]:
    """Return the machines of a directory, or of one file. Raises `UsageError`."""
    return gwa.read(path, limit)
