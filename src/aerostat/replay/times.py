"""Moments of the past: as a user writes them, and as they are shown.

Shown in the local time zone of whoever looks. Pure but for that zone.
"""

import re
from datetime import datetime

from aerostat.errors import UsageError

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)\s*", re.ASCII)
_DAY = 86400.0


def parse_moment(text: str, now: float) -> float:
    """Return the wall seconds that `text` means: ``90s``, ``1h30m`` or ``2d`` before `now`.

    Or a moment: ``2026-11-23 14:05``, ``14:05`` (the last one before `now`), ``now``. Raises
    `UsageError`.
    """
    stripped = text.strip()
    if stripped == "now":
        return now
    parts = _PART.findall(stripped)
    if parts and not _PART.sub("", stripped):
        return now - sum(float(amount) * _UNITS[unit] for amount, unit in parts)
    try:
        return datetime.fromisoformat(stripped).timestamp()
    except ValueError:
        pass
    today = datetime.fromtimestamp(now).astimezone().date()
    try:
        if ":" not in stripped:
            raise ValueError  # noqa: TRY301 - as what is no time at all
        moment = datetime.fromisoformat(f"{today} {stripped}").timestamp()
    except ValueError:
        raise UsageError(
            f"not a time: {text!r}; write 90s, 10m, 1h30m, 2d, 14:05 or 2026-11-23 14:05"
        ) from None
    return moment if moment <= now else moment - _DAY


def exact_time(wall: float) -> str:
    """Return a moment with its date: ``2026-11-23 14:05:09``."""
    return _local(wall).strftime("%Y-%m-%d %H:%M:%S")


def time_of_day(wall: float) -> str:
    """Return a moment without its date: ``14:05:09``."""
    return _local(wall).strftime("%H:%M:%S")


def range_text(since: float | None, until: float | None) -> str:
    """Return a time from one moment to another, the date once where it is the same."""
    if since is None or until is None:
        return "at no time"
    same = _local(since).date() == _local(until).date()
    return f"{exact_time(since)} to {time_of_day(until) if same else exact_time(until)}"


def duration_text(seconds: float) -> str:
    """Return a length of time in at most two units: ``0.3 s``, ``42 s``, ``3 min 20 s``."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    units = [("d", 86400), ("h", 3600), ("min", 60), ("s", 1)]
    place = next(place for place, (_, length) in enumerate(units) if seconds >= length - 0.5)
    (name, length), (part, small) = units[place], units[place + 1]
    whole, rest = divmod(round(seconds / small), length // small)
    return f"{whole} {name} {rest} {part}" if rest else f"{whole} {name}"


def _local(wall: float) -> datetime:
    return datetime.fromtimestamp(wall).astimezone()
