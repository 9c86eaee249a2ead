"""Which targets there are. Each is a room of `targets`, imported when it is asked for."""

from importlib import import_module

from aerostat.errors import UsageError
from aerostat.testing.fuzz.target import Target

#: They touch nothing but memory.
PURE = (
    *("memory", "chain", "split-ring", "packed-ring", "driver-ring", "driver-packed-ring"),
    *(
        "buffers",
        "hints",
        "backend",
        "frontend",
        "device",
        "driver",
        "control",
        "monitor",
        "config",
    ),
    *("agent", "misuse"),
)
#: They touch files, or sockets, or take long to load.
OTHERS = (
    *("link", "handover", "process-guest", "api", "saved-state", "journal", "traces"),
    "scenario",
)
NAMES = PURE + OTHERS


def find(name: str) -> Target:
    """Return a target by its name. Raises `UsageError`."""
    if name not in NAMES:
        raise UsageError(f"no target is called {name!r}; there are {', '.join(NAMES)}")
    room = import_module(f"aerostat.testing.fuzz.targets.{name.replace('-', '_')}")
    target: Target = room.TARGET
    return target
