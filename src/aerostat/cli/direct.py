"""Reading guests once, without a manager.

Nothing is decided here: what only the engine knows (pressure, demand) stays unknown.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

from aerostat.balloon.statistics import Tag
from aerostat.cli.errors import NotThereError
from aerostat.daemon.names import clean_name, clean_text, named_statistics
from aerostat.daemon.snapshot import GuestRow
from aerostat.errors import AerostatError
from aerostat.hypervisors.base import Connector, GuestInfo, Reading
from aerostat.hypervisors.libvirt.connector import LibvirtConnector
from aerostat.hypervisors.qmp.connector import QmpConnector

_TIMEOUT = 3.0  # seconds; a guest that does not answer by then is shown without figures


def read_guests(globs: Sequence[str], uris: Sequence[str] = ()) -> tuple[GuestRow, ...]:
    """Return a row for each guest of a QMP socket in `globs` or a libvirt in `uris`, by name.

    Raises `NotThereError` where there is none, and `AerostatError` where a libvirt cannot be asked.
    """
    # What is wrong is said by the row or the error that comes of it, once.
    logging.getLogger("aerostat").addHandler(logging.NullHandler())
    rows = asyncio.run(_read_all(globs, uris))
    if not rows and globs:
        raise NotThereError(
            f"no guest listens on {' '.join(globs)}; give the path of QEMU's -qmp socket"
        )
    if not rows:
        raise NotThereError(f"no guest runs at {' '.join(uris)}")
    return tuple(sorted(rows, key=lambda row: (row.name, row.key)))


async def _read_all(globs: Sequence[str], uris: Sequence[str]) -> list[GuestRow]:
    # Without a period of statistics a domain has none: a look sets nothing, and shows it so.
    connectors: list[Connector] = [
        LibvirtConnector(uri, read_only=True, set_period=False) for uri in uris
    ]
    if globs:
        connectors.append(QmpConnector(globs, read_only=True))
    read = await asyncio.gather(*map(_read, connectors))
    return [row for rows in read for row in rows]


async def _read(connector: Connector) -> list[GuestRow]:
    await connector.start()
    try:
        guests = await connector.guests()
        answers = await connector.sample([guest.key for guest in guests], _TIMEOUT)
        guests = await connector.guests()  # without the sockets on which nobody listens
    finally:
        await connector.close()
    now = time.monotonic()
    return [row_of(guest, answers[guest.key], now) for guest in guests if guest.key in answers]


def row_of(guest: GuestInfo, answer: Reading | AerostatError, now: float) -> GuestRow:
    """Return what one look at a guest tells, at `now` (monotonic seconds)."""
    name = clean_name(guest.name)
    if isinstance(answer, AerostatError):
        return GuestRow(guest.key, name, guest.source, uuid=guest.uuid, error=clean_text(answer))
    figures, sampled_at = answer.statistics, answer.sampled_at
    return GuestRow(
        key=guest.key,
        name=name,
        source=guest.source,
        uuid=guest.uuid,
        way=answer.way,
        max_size=answer.max_size,
        guest_size=answer.guest_size,
        held=answer.held,
        total_memory=figures.get(Tag.TOTAL_MEMORY),
        free_memory=figures.get(Tag.FREE_MEMORY),
        available_memory=figures.get(Tag.AVAILABLE_MEMORY),
        disk_caches=figures.get(Tag.DISK_CACHES),
        sample_age=None if sampled_at is None else max(now - sampled_at, 0.0),
        condition="silent" if sampled_at is None else "fresh",
        statistics=named_statistics(figures),
    )
