"""What a dry run says: which device would be driven, how, and what is in the way.

Reads sysfs and /proc, and tries what leaves no trace. Standard library only, Python 3.9.
"""

from __future__ import annotations

from collections.abc import Iterator

from aerostat.guest.dma import HugePages
from aerostat.guest.modern import find_structures
from aerostat.guest.pagemap import PAGE_SIZE
from aerostat.guest.pci import choose_balloon
from aerostat.guest.permissions import require_no_lockdown, require_root
from aerostat.guest.pins import choose_pins
from aerostat.guest.procfs import ProcFiles
from aerostat.virtio.memory import require_ordering


def check(device: str | None, *, legacy: bool) -> Iterator[str]:
    """Yield what would be done, line by line; raise `MissingError` at what makes it impossible."""
    require_ordering()
    function = choose_balloon(device)
    yield f"device      {function.address}, now with {function.driver or 'no driver'}"
    require_root()
    modern = not legacy and find_structures(function) is not None
    yield f"interface   {'modern' if modern else 'legacy'}"
    require_no_lockdown()
    free = HugePages().free
    yield f"rings       in a huge page: {f'{free} free' if free else 'one more will be asked for'}"
    pins = choose_pins()
    yield f"pages       of {PAGE_SIZE} bytes, {pins}"
    pins.close()
    files = ProcFiles()
    yield f"statistics  {len(files.collect(page_size=PAGE_SIZE))} of 16"
    files.close()
    yield "nothing was changed"
