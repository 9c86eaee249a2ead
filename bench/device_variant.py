"""A device process as it is, or with one thing changed, for benches to compare.

``python -m bench.device_variant VARIANT --socket PATH --control PATH``; the rest of the command
line is `aerostat.device`'s.

- ``plain``: as it is.
- ``unmerged``: every page is a range of its own and goes by itself, so that each costs a system
  call.
- ``asking``: asks its guest for statistics again whenever some have arrived.
"""

import contextlib
import struct
import sys
from collections.abc import Mapping
from unittest.mock import patch

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Byteorder
from aerostat.device.__main__ import main
from aerostat.device.sampler import Sampler

# Longer than any bench waits for a guest.
_TIMEOUT = 60.0

_PFNS = {"little": struct.Struct("<I"), "big": struct.Struct(">I")}


def separate_pfns(payload: bytes, byteorder: Byteorder = "little") -> list[tuple[int, int]]:
    """Return a range for each page of a request, in the driver's order."""
    return [(pfn * PAGE_SIZE, PAGE_SIZE) for (pfn,) in _PFNS[byteorder].iter_unpack(payload)]


class AskingSampler(Sampler):
    """Asks again at once, through the very path that a control client's request takes."""

    def arrived(self, statistics: Mapping[int, int]) -> None:
        """Take the figures, and ask for the next."""
        super().arrived(statistics)
        self.request(_TIMEOUT, lambda _fresh: None)


def variant(name: str) -> contextlib.AbstractContextManager[object]:
    """Return what makes the change."""
    match name:
        case "plain":
            return contextlib.nullcontext()
        case "unmerged":
            changes = contextlib.ExitStack()
            changes.enter_context(patch("aerostat.balloon.lane.merge_pfns", separate_pfns))
            one_by_one = patch("aerostat.device.reclaim.can_punch_mapped", lambda: False)
            changes.enter_context(one_by_one)
            return changes
        case "asking":
            return patch("aerostat.device.guest.Sampler", AskingSampler)
    raise SystemExit(f"no variant {name}")


if __name__ == "__main__":
    with variant(sys.argv[1]):
        sys.exit(main(sys.argv[2:]))
