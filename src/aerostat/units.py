"""Sizes in and out.

Inside aerostat memory is bytes and time is seconds. Text with other units is read and written
here and nowhere else. Pure, standard library only.
"""

import math
import re

from aerostat.errors import UsageError

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40

_FACTORS = {"b": 1, "kib": KIB, "mib": MIB, "gib": GIB, "tib": TIB}
_FACTORS |= {"k": KIB, "m": MIB, "g": GIB, "t": TIB}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.ASCII)


def parse_size(text: str) -> int:
    """Return the bytes that `text` means: ``512MiB``, ``1.5 GiB``, ``4g``, ``4096B``.

    A unit is required (a bare number means KiB to one tool and MiB to the next), and units are
    binary. Raises `UsageError`.
    """
    match = _SIZE.fullmatch(text.lower())
    factor = _FACTORS.get(match[2]) if match else None
    if match is None or factor is None:
        raise UsageError(f"not a size: {text!r}; write it with a unit, such as 512MiB or 1.5GiB")
    return round(float(match[1]) * factor)


def format_size(size: float) -> str:
    """Return `size` bytes for people: ``1.25 GiB``, ``384 MiB``, ``-`` when it is not known."""
    if not math.isfinite(size):
        return "-"
    for unit, factor in (("TiB", TIB), ("GiB", GIB)):
        if abs(size) >= factor:
            value = size / factor
            shown = f"{value:.2f}".removesuffix("0") if abs(value) < 10 else f"{value:.1f}"
            return f"{shown} {unit}"
    for unit, factor in (("MiB", MIB), ("KiB", KIB)):
        if abs(size) >= factor:
            return f"{size / factor:.0f} {unit}"
    return f"{size:.0f} B"
