"""Figures as short text for a terminal.

Pure, standard library only.
"""

import math

ABSENT = "-"
_UNITS = ("B", "K", "M", "G", "T", "P")


def short_size(size: float | None) -> str:
    """Return `size` bytes in at most five characters, in binary units: ``384M``, ``1.25G``."""
    if size is None or not math.isfinite(size):
        return ABSENT
    value, unit = float(size), 0
    while abs(value) >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    shown = f"{value:.0f}"
    if unit >= 3 and 0 <= value < 9.995:
        shown = f"{value:.2f}".removesuffix("0")
    return f"{shown}{_UNITS[unit]}" if value else "0"


def short_rate(rate: float | None) -> str:
    """Return `rate` (a count a second) in at most five characters: ``0``, ``0.4``, ``12k``."""
    if rate is None or not math.isfinite(rate):
        return ABSENT
    if rate < 0.05:
        return "0"
    if rate < 9.95:
        return f"{rate:.1f}"
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rate >= factor * 0.9995:
            return f"{rate / factor:.0f}{letter}"
    return f"{rate:.0f}"


def short_age(age: float | None) -> str:
    """Return an age in seconds in at most four characters: ``0.3s``, ``12s``, ``5m``, ``3h``."""
    if age is None or not math.isfinite(age):
        return ABSENT
    age = max(age, 0.0)
    if age < 9.95:
        return f"{age:.1f}s"
    for unit, seconds, limit in (("s", 1, 99.5), ("m", 60, 5970), ("h", 3600, 356400)):
        if age < limit:
            return f"{age / seconds:.0f}{unit}"
    return f"{min(age / 86400, 999):.0f}d"


def clock(seconds: float) -> str:
    """Return an elapsed time as ``02:31``, or ``1:02:31`` from an hour on."""
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
