"""Readers of public traces: what real machines wanted, for guests that want the same. Adapter.

Each trace is a room, which says what is in it, where its traps are and under which terms it may be
had. Nothing of them comes along; `examples/traces` has samples of our own making, in their formats.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path

from aerostat.errors import UsageError
from aerostat.simulator.traces import alibaba, azure, bitbrains, google, materna
from aerostat.simulator.traces.lines import lines
from aerostat.simulator.traces.trace import Trace, as_guests, family_of

Reader = Callable[[Path, int], list[Trace]]

READERS: Mapping[str, Reader] = {
    "bitbrains": bitbrains.read,
    "materna": materna.read,
    "azure": azure.read,
    "google": google.read,
    "alibaba": alibaba.read,
}
"""By the name of the trace."""


def read(path: Path, of: str | None = None, limit: int = 1000) -> list[Trace]:
    """Return the machines, `limit` at most, of a trace at `path`: a file or a directory.

    Which trace it is of shows in the file, if it is not said. Raises `UsageError`.
    """
    if limit < 1:
        raise UsageError("of a trace, one machine at least is read")
    name = of or _guess(path)
    if name not in READERS:
        raise UsageError(f"no reader for {name!r}; there are {', '.join(READERS)}")
    return READERS[name](path, limit)


def _guess(path: Path) -> str:
    """Return which trace a file is of, by its first line. Raises `UsageError`."""
    if path.is_dir():
        if any(path.glob("vmtable*")):
            return "azure"
        first = next(iter(sorted(path.glob("*.csv"))), None)
        if first is None:
            raise UsageError(f"{path}: no traces in it: no .csv files")
        path = first
    text = next((text for _, text in islice(lines(path), 1)), "")
    if text.startswith("{"):
        return "google"
    if ";" in text:
        return "materna" if '"' in text else "bitbrains"
    if text.count(",") in {8, 10}:
        return "alibaba"
    raise UsageError(f"{path}: not one of the traces that can be read: {', '.join(READERS)}")


__all__ = ["READERS", "Trace", "as_guests", "family_of", "read"]
