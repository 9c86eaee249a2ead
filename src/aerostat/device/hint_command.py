"""The QMP command ``aerostat-hint``: what of a guest's memory is free, by its own word.

Touches the guest's state, no socket. Standard library only.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aerostat.balloon.abi import FREE_PAGE_HINT
from aerostat.device.guest import Guest
from aerostat.qmp.server import CommandError, check_arguments
from aerostat.virtio.features import has

#: How long a round may last, in seconds: a whole one, and one that a client begins and ends.
DEFAULT_TIMEOUT, MAX_TIMEOUT = 5.0, 60.0
DEFAULT_LIMIT, MAX_LIMIT = 60.0, 3600.0

ACTIONS = ("run", "start", "stop", "done", "query")


def hint(guest: Guest, arguments: Mapping[str, Any], answer: Callable[[Any], None]) -> None:
    """Carry the command out and give `answer` its result, now or later; raises `CommandError`."""
    checked = check_arguments(
        dict(arguments), optional={"action": str, "timeout": float, "ranges": bool}
    )
    action = checked.get("action", "run")
    if action not in ACTIONS:
        raise CommandError(f"Parameter 'action' expects {', '.join(ACTIONS)}")
    if action in {"run", "start"} and not has(guest.device.negotiated, FREE_PAGE_HINT):
        raise CommandError("The guest gives no free page hints")

    def tell() -> None:
        answer(_describe(guest, ranges=checked.get("ranges", False)))

    if action == "run":
        timeout = _seconds(checked, DEFAULT_TIMEOUT, MAX_TIMEOUT)
        if not guest.hinter.run(timeout, tell):
            raise CommandError("Too many wait for this round")
        return
    if action == "start":
        guest.hinter.start(_seconds(checked, DEFAULT_LIMIT, MAX_LIMIT))
    elif action == "stop":
        guest.hinter.stop()
    elif action == "done":
        guest.hinter.done()
    tell()


def _seconds(checked: Mapping[str, Any], default: float, most: float) -> float:
    seconds: float = checked.get("timeout", default)
    if not 0 <= seconds <= most:
        raise CommandError(f"Parameter 'timeout' expects 0 to {most:.0f} seconds")
    return seconds


def _describe(guest: Guest, *, ranges: bool) -> dict[str, Any]:
    hinting = guest.device.hinting
    described: dict[str, Any] = {
        "id": hinting.id,
        "round": hinting.round.value,
        "complete": hinting.complete,
        "hinted": hinting.hinted.size,
    }
    if ranges:
        described["ranges"] = hinting.hinted.ranges()
    return described
