"""What the host swaps, from `/proc/vmstat` (proc(5)). Reads that file.

Pages that go to zswap are counted too: they leave memory only compressed, but for the same want.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

from aerostat.host.proc import read_small

VMSTAT = Path("/proc/vmstat")

_LINE = re.compile(r"^(pswpin|pswpout|zswpin|zswpout) ([0-9]{1,20})$", re.MULTILINE)
_PAGE = os.sysconf("SC_PAGE_SIZE")


class SwapTraffic(NamedTuple):
    """Bytes that were swapped since the host was booted."""

    swapped_in: int
    swapped_out: int


def parse_swap_traffic(text: str, page: int = _PAGE) -> SwapTraffic | None:
    """Return what `/proc/vmstat` tells, with pages of `page` bytes; None if it does not."""
    counts = {name: int(count) for name, count in _LINE.findall(text)}
    if not {"pswpin", "pswpout"} <= counts.keys():
        return None  # a kernel without swap
    return SwapTraffic(
        (counts["pswpin"] + counts.get("zswpin", 0)) * page,
        (counts["pswpout"] + counts.get("zswpout", 0)) * page,
    )


def read_swap_traffic(path: Path = VMSTAT) -> SwapTraffic | None:
    """Read what was swapped until now; None where the kernel does not tell it."""
    try:
        return parse_swap_traffic(read_small(path))
    except OSError:
        return None
