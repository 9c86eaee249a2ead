"""The QMP commands of a device process: QEMU's own for a balloon, and some of ours.

Names, units and answers are QEMU's (docs/interop, ``qapi/machine.json``, ``qapi/qom.json``), so
that a client cannot tell the difference; what QEMU lacks has a name of its own. Touches the guest's
state, no socket. Standard library only.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aerostat.balloon.statistics import QEMU_KEYS
from aerostat.device.guest import Guest
from aerostat.device.hint_command import hint
from aerostat.qmp.server import (
    COMMAND_NOT_FOUND,
    DEVICE_NOT_FOUND,
    GENERIC_ERROR,
    CommandError,
    check_arguments,
)

QOM_TYPE = "virtio-balloon-vhost-user"
QOM_PATH = "/machine/peripheral/balloon0"
_STATS = "guest-stats"
_INTERVAL = "guest-stats-polling-interval"

# What QEMU shows for a statistic that the guest has not sent.
ABSENT = (1 << 64) - 1
# QEMU's own bound of the interval, in seconds.
MAX_INTERVAL = (1 << 32) - 1

#: Answered by whoever has the client's connection, see `aerostat.device.handover`.
HAND_OVER = "aerostat-hand-over"

# `aerostat-sample`: how long a guest may take, in seconds. The upper bound protects the table of
# those who wait.
DEFAULT_TIMEOUT = 1.0
MAX_TIMEOUT = 60.0

_TREE = {
    "/": [("machine", "child<virt-machine>")],
    "/machine": [("peripheral", "child<container>"), ("peripheral-anon", "child<container>")],
    "/machine/peripheral": [("balloon0", f"child<{QOM_TYPE}>")],
    "/machine/peripheral-anon": [],
    QOM_PATH: [(_STATS, "guest statistics"), (_INTERVAL, "int")],
}

Answer = Callable[[Any], None]


class Commands:
    """Carries out one command at a time; the same for every client."""

    def __init__(
        self,
        guest: Guest,
        *,
        name: str | None,
        running: Callable[[], bool],
        stop: Callable[[], None],
    ) -> None:
        self._guest = guest
        self._name = name
        self._running = running
        self._stop = stop
        self._handlers: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "balloon": self._balloon,
            "qom-get": self._qom_get,
            "qom-list": self._qom_list,
            "qom-set": self._qom_set,
            "query-balloon": self._query_balloon,
            "query-name": self._query_name,
            "query-status": self._query_status,
            "quit": self._quit,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """What clients may ask for."""
        return (*self._handlers, "aerostat-hint", "aerostat-sample", HAND_OVER)

    def run(self, name: str, arguments: Mapping[str, Any], answer: Answer) -> None:
        """Carry out a command and give `answer` its result, now or later.

        Raises `CommandError` instead, at once.
        """
        if name == "aerostat-sample":
            self._sample(arguments, answer)
        elif name == "aerostat-hint":
            hint(self._guest, arguments, answer)
        else:
            handler = self._handlers.get(name)
            if handler is None:
                raise CommandError(f"The command {name} has not been found", COMMAND_NOT_FOUND)
            answer(handler(arguments))

    def balloon_change(self) -> dict[str, int] | None:
        """Return the data of a BALLOON_CHANGE event; None while there is no guest."""
        return {"actual": self._guest.guest_size} if self._guest.max_size else None

    # ---- QEMU's commands

    def _balloon(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        value = check_arguments(dict(arguments), {"value": int})["value"]
        if value <= 0:
            raise CommandError("Parameter 'target' expects a size")
        self._guest.set_target(value)
        return {}

    def _query_balloon(self, arguments: Mapping[str, Any]) -> dict[str, int]:
        check_arguments(dict(arguments))
        change = self.balloon_change()
        if change is None:
            raise CommandError("No balloon device has been activated", "DeviceNotActive")
        return change

    def _query_status(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        check_arguments(dict(arguments))
        running = self._running()
        status = "running" if running else "prelaunch"
        return {"running": running, "singlestep": False, "status": status}

    def _query_name(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        check_arguments(dict(arguments))
        return {} if self._name is None else {"name": self._name}

    def _quit(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        check_arguments(dict(arguments))
        self._stop()
        return {}

    def _qom_list(self, arguments: Mapping[str, Any]) -> list[dict[str, str]]:
        path = check_arguments(dict(arguments), {"path": str})["path"]
        properties = [("type", "string"), *_children(path)]
        return [{"name": name, "type": kind} for name, kind in properties]

    def _qom_get(self, arguments: Mapping[str, Any]) -> Any:
        checked = check_arguments(dict(arguments), {"path": str, "property": str})
        _children(checked["path"])
        if checked["path"] == QOM_PATH:
            match checked["property"]:
                case "guest-stats":
                    return self._guest_stats()
                case "guest-stats-polling-interval":
                    return self._guest.sampler.interval
                case "type":
                    return QOM_TYPE
        raise _no_property(checked["property"])

    def _qom_set(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        arguments = dict(arguments)
        # The value's type is the property's own, so it is checked apart.
        value = arguments.pop("value", None)
        checked = check_arguments(arguments, {"path": str, "property": str})
        _children(checked["path"])
        if (checked["path"], checked["property"]) != (QOM_PATH, _INTERVAL):
            raise _no_property(checked["property"])
        interval = check_arguments({"value": value}, {"value": int})["value"]
        if interval < 0:
            raise CommandError("timer value must be greater than zero")
        if interval > MAX_INTERVAL:
            raise CommandError("timer value is too big")
        self._guest.sampler.interval = interval
        return {}

    def _guest_stats(self) -> dict[str, Any]:
        latest = self._guest.sampler.latest
        statistics = latest.statistics if latest else {}
        stats = {key: statistics.get(tag, ABSENT) for tag, key in QEMU_KEYS.items()}
        return {"stats": stats, "last-update": int(latest.wall_clock) if latest else 0}

    # ---- our own

    def _sample(self, arguments: Mapping[str, Any], answer: Answer) -> None:
        checked = check_arguments(dict(arguments), optional={"timeout": float})
        timeout = checked.get("timeout", DEFAULT_TIMEOUT)
        if not 0 <= timeout <= MAX_TIMEOUT:
            raise CommandError(f"Parameter 'timeout' expects 0 to {MAX_TIMEOUT:.0f} seconds")
        sampler = self._guest.sampler
        if not sampler.request(timeout, lambda fresh: answer(self._sampled(fresh=fresh))):
            raise CommandError("Too many samples are being waited for", GENERIC_ERROR)

    def _sampled(self, *, fresh: bool) -> dict[str, Any]:
        guest = self._guest
        latest = guest.sampler.latest
        stats: dict[str, Any] = {}
        unknown: dict[str, int] = {}
        for tag, value in (latest.statistics if latest else {}).items():
            key = QEMU_KEYS.get(tag)  # type: ignore[call-overload]
            if key is None:
                unknown[str(tag)] = value
            else:
                stats[key] = value
        return {
            "stats": {**stats, "unknown": unknown},
            "sampled-at": latest.monotonic if latest else None,
            "fresh": fresh,
            "max-size": guest.max_size,
            "guest-size": guest.guest_size,
            "target-size": guest.target_size,
            "held": guest.held(),
            "block-reads": guest.block_reads(),
            "counters": guest.all_counters(),
        }


def _children(path: str) -> list[tuple[str, str]]:
    children = _TREE.get(path)
    if children is None:
        raise CommandError(f"Device '{path}' not found", DEVICE_NOT_FOUND)
    return children


def _no_property(name: str) -> CommandError:
    return CommandError(f"Property '{QOM_TYPE}.{name}' not found")
