"""A connector to guests that exist in memory only, for tests of what stands on connectors.

Guests say what the test scripts, obey at once or not at all, and fail on demand. Touches nothing;
time is the test's (`clock`).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aerostat.balloon.statistics import Tag
from aerostat.errors import AerostatError, LinkError
from aerostat.hypervisors.base import Examination, GuestInfo, Reading
from aerostat.units import MIB


@dataclass(slots=True)
class FakeGuest:
    """A scripted guest; a test changes its fields between samples. Sizes in bytes."""

    name: str
    max_size: int = 512 * MIB
    guest_size: int = 512 * MIB
    held: int | None = 256 * MIB
    statistics: dict[int, int] = field(default_factory=dict)
    silent_since: float | None = None
    """The moment after which the guest makes no new figures."""
    obeys: bool = True
    """Whether its balloon follows its target, at once."""
    fault: AerostatError | None = None
    """What sampling it and setting its target come to."""
    targets: list[int] = field(default_factory=list)
    """Every target that it was set, in order."""

    @property
    def key(self) -> str:
        """The key under which the connector knows the guest."""
        return f"fake:{self.name}"

    def uses(self, available: int) -> None:
        """Have the guest report `available` bytes of available memory, half of them free."""
        self.statistics |= {
            Tag.TOTAL_MEMORY: self.guest_size,
            Tag.AVAILABLE_MEMORY: available,
            Tag.FREE_MEMORY: available // 2,
        }


class FakeConnector:
    """The guests in `fakes`, which may come and go (see `aerostat.hypervisors.base.Connector`)."""

    name = "fake"

    def __init__(self, *guests: FakeGuest, clock: Callable[[], float] = time.monotonic) -> None:
        self.fakes = {guest.key: guest for guest in guests}
        self.started = False
        self.closed = False
        self._clock = clock

    async def start(self) -> None:
        """Note it."""
        self.started = True

    async def close(self) -> None:
        """Note it."""
        self.closed = True

    async def guests(self) -> list[GuestInfo]:
        """Return the guests there are now."""
        return [GuestInfo(guest.key, guest.name, "memory") for guest in self.fakes.values()]

    async def sample(
        self,
        keys: Sequence[str],
        timeout: float,  # noqa: ARG002 - the contract's; nothing takes time here
    ) -> dict[str, Reading | AerostatError]:
        """Return what the guests' scripts say."""
        return {key: self._read(key) for key in keys}

    async def set_target(
        self,
        key: str,
        size: int,
        timeout: float,  # noqa: ARG002 - as in `sample`
    ) -> None:
        """Keep the target; a guest that obeys has reached it already."""
        guest = self._guest(key)
        guest.targets.append(size)
        if guest.obeys:
            guest.guest_size = min(size, guest.max_size)

    async def examine(
        self,
        key: str,
        timeout: float,  # noqa: ARG002 - as in `sample`
    ) -> Examination:
        """Return that there is a balloon, and whether its driver has answered."""
        guest = self._guest(key)
        return Examination(key, "test", balloon=True, driver=bool(guest.statistics))

    def _guest(self, key: str) -> FakeGuest:
        guest = self.fakes.get(key)
        if guest is None:
            raise LinkError(f"there is no guest {key}", retryable=False)
        if guest.fault is not None:
            raise guest.fault
        return guest

    def _read(self, key: str) -> Reading | AerostatError:
        try:
            guest = self._guest(key)
        except AerostatError as error:
            return error
        now = self._clock()
        return Reading(
            key=key,
            taken_at=now,
            max_size=guest.max_size,
            guest_size=guest.guest_size,
            held=guest.held,
            statistics=dict(guest.statistics),
            sampled_at=_sampled_at(guest, now),
        )


def _sampled_at(guest: FakeGuest, now: float) -> float | None:
    if not guest.statistics:
        return None
    return now if guest.silent_since is None else min(guest.silent_since, now)
