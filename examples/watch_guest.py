"""Connect to the monitor of a guest and print its statistics, once a second.

    .venv/bin/python examples/watch_guest.py '/run/vm/*.qmp'

The sockets are QEMU's (``-qmp unix:...``) or an aerostat device's (``--control``): the connector
finds out. Nothing is changed: it is opened read-only.
"""

import asyncio
import sys
import time

from aerostat.balloon.statistics import Tag
from aerostat.errors import AerostatError
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.units import format_size


async def watch(pattern: str, looks: int, interval: float = 1.0) -> None:
    """Look at all guests whose sockets match `pattern`, so many times."""
    connector = QmpConnector([pattern], read_only=True)
    await connector.start()
    try:
        for look in range(looks):
            if look:
                await asyncio.sleep(interval)
            guests = await connector.guests()
            # All at once, each within half a second: one that hangs delays nobody.
            readings = await connector.sample([guest.key for guest in guests], timeout=0.5)
            # Names are known once the monitors have answered.
            for guest in await connector.guests():
                if guest.key in readings:
                    print(f"{guest.name}: {tell(readings[guest.key])}", flush=True)
    finally:
        await connector.close()


def tell(reading: Reading | AerostatError) -> str:
    """Return what was read in a sentence. A statistic is a figure or absent, never a guess."""
    if isinstance(reading, AerostatError):
        return f"cannot be read: {reading}"
    if reading.sampled_at is None:
        return f"has {format_size(reading.guest_size)} and says nothing; has it a balloon driver?"
    available = reading.statistics.get(Tag.AVAILABLE_MEMORY)
    idle = "it does not say how much is idle" if available is None else format_size(available)
    held = "an unknown part" if reading.held is None else format_size(reading.held)
    return (
        f"has {format_size(reading.guest_size)} of {format_size(reading.max_size)}, "
        f"holds {held}, available {idle}, {len(reading.statistics)} statistics, "
        f"{time.monotonic() - reading.sampled_at:.2f} s old"
    )


def main(arguments: list[str]) -> None:
    """Watch the guests that the command line names, ten times unless it says how often."""
    if not 1 <= len(arguments) <= 2:
        sys.exit("usage: watch_guest.py GLOB [TIMES]")
    asyncio.run(watch(arguments[0], int(arguments[1]) if len(arguments) == 2 else 10))


if __name__ == "__main__":
    main(sys.argv[1:])
