"""How far a balloon driver has come with its device, as a table (virtio 1.2, 3.1.1 and 5.5.5).

Pure; runs inside guests. `stop` ends every phase, since a device may be reset at any time.
"""

from __future__ import annotations

from enum import Enum

from aerostat.errors import UsageError


class Phase(Enum):
    """The value completes "the driver ..."."""

    NEW = "is new"
    ATTACHED = "has its rings, but has not begun"
    BEGUN = "has begun, but is not ready"
    RUNNING = "is running"
    STOPPED = "has stopped"


#: (the phase, the call) → the phase after it. What is not here is not allowed.
TRANSITIONS = {
    (Phase.NEW, "attach"): Phase.ATTACHED,  # the queues are set up
    (Phase.ATTACHED, "begin"): Phase.BEGUN,  # all that comes before DRIVER_OK is done
    (Phase.BEGUN, "ready"): Phase.RUNNING,  # DRIVER_OK is set
    (Phase.RUNNING, "inflate"): Phase.RUNNING,
    (Phase.RUNNING, "deflate"): Phase.RUNNING,
    (Phase.RUNNING, "report"): Phase.RUNNING,
    (Phase.RUNNING, "send_statistics"): Phase.RUNNING,
} | {(phase, "stop"): Phase.STOPPED for phase in Phase}


def follow(phase: Phase, call: str) -> Phase:
    """Return the phase after `call` in `phase`. Raises `UsageError` where it is out of place."""
    try:
        return TRANSITIONS[phase, call]
    except KeyError:
        raise UsageError(f"{call}: the driver {phase.value}") from None
