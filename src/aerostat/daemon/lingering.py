"""Guests that were here and may be found again in a moment. Pure.

After a start or a change of the configuration it takes a connector a while to find its guests.
Until then they stay in the accounts as they were last seen, without figures of their own, so that
what they may use is not promised to others, and what was learned of them is not forgotten. A guest
whose monitor hangs from the start stays so for as long as it is there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from aerostat.daemon.names import clean_name
from aerostat.errors import AerostatError, LinkError
from aerostat.hypervisors.base import Examination, GuestInfo, Reading

LINGER = 20.0
"""How long a guest that no connector knows stays in the accounts, seconds."""

_LARGEST_SIZE = 1 << 53
_NO_STATISTICS: Mapping[int, int] = {}


class Remembered(NamedTuple):
    """One guest as it was last seen; sizes in bytes."""

    key: str
    raw_key: str
    name: str
    source: str
    uuid: str | None
    max_size: int
    guest_size: int
    held: int | None

    @property
    def info(self) -> GuestInfo:
        """Who it is."""
        return GuestInfo(self.key, self.name, self.source, self.uuid)

    def reading(self, now: float) -> Reading:
        """Return it as a reading without figures of the guest's own."""
        return Reading(
            key=self.raw_key,
            taken_at=now,
            max_size=self.max_size,
            guest_size=self.guest_size,
            held=self.held,
            statistics=_NO_STATISTICS,
            sampled_at=None,
        )


class Absent:
    """In the place of the connector that has not found a guest yet."""

    name = "none yet"

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def guests(self) -> Sequence[GuestInfo]:
        """Return none."""
        return ()

    async def sample(
        self,
        keys: Sequence[str],
        timeout: float,  # noqa: ARG002 - the contract's; here nothing takes time
    ) -> dict[str, Reading | AerostatError]:
        """Return that they are not found yet."""
        return {key: LinkError("not found yet") for key in keys}

    async def set_target(
        self,
        key: str,
        size: int,  # noqa: ARG002 - as above
        timeout: float,  # noqa: ARG002 - as above
    ) -> None:
        """Raise `LinkError`."""
        raise LinkError(f"{key} is not found yet")

    async def examine(
        self,
        key: str,
        timeout: float,  # noqa: ARG002 - as above
    ) -> Examination:
        """Raise `LinkError`."""
        raise LinkError(f"{key} is not found yet")


def restored(values: Any) -> list[Remembered]:
    """Return the guests of a state file, each a list of its figures; raises on anything else."""
    guests = msgspec.convert(values, list[Remembered])
    for guest in guests:
        if not 0 <= guest.guest_size <= guest.max_size <= _LARGEST_SIZE:
            raise ValueError("the sizes of its guests are none")
    return [guest._replace(name=clean_name(guest.name)) for guest in guests]
