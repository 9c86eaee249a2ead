"""What is simulated, as data: guests, the houses that they live in, and their columns.

Adapter; NumPy, no I/O. A house is one host and its guests. Houses know nothing of each other,
unless a guest moves from one to another; so a world falls into parts of whole houses that can be
simulated one after the other (`World.blocks`), and a house fares the same whoever else is there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Self
from zlib import crc32

import numpy as np
import numpy.typing as npt

from aerostat.engine.observation import FloatArray, IntArray
from aerostat.errors import UsageError
from aerostat.model.plans import Plan
from aerostat.units import MIB

BLOCK = 8192
"""Guests simulated together: enough that the policy's cost for each call is shared by many, few
enough that their columns stay in a processor's cache."""


class Plug(NamedTuple):
    """Memory is plugged into a guest while it runs."""

    at: float
    """Seconds since the beginning."""
    max_size: float
    """What it has from then on: more than before, bytes."""


class Migration(NamedTuple):
    """A guest moves to another house, with all that it holds."""

    at: float
    """Seconds since the beginning."""
    to: str
    """The name of the house."""


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """One guest: what it is given, and what its programs want. Bytes and seconds."""

    max_size: float
    """Its RAM with an empty balloon."""
    plan: Plan
    swap_size: float = 0.0
    deflate_on_oom: bool = False
    reporting: bool = False
    """Whether it reports free pages (VIRTIO_BALLOON_F_REPORTING)."""
    guarantee: float = 0.0
    shares: float | None = None
    """Its weight when memory is divided; where nothing is said, its size in MiB, as the daemon has
    it."""
    dialect: str = "16"
    """What its driver tells: a name of `aerostat.model.dialects`."""
    silent_from: float = np.inf
    """From when on it tells nothing more, so that what is known of it grows old, seconds."""
    plugs: tuple[Plug, ...] = ()
    migrations: tuple[Migration, ...] = ()
    node: int = 0
    """The NUMA node where its memory is wanted."""

    @property
    def weight(self) -> float:
        """Return its shares, those of a guest of which nothing is said included."""
        return self.max_size / MIB if self.shares is None else self.shares

    def __post_init__(self) -> None:
        """Check what is not checked elsewhere. Raises `UsageError`."""
        if not 0 < self.max_size < np.inf:
            raise UsageError(f"a guest's max_size is {self.max_size}, not a number above 0")
        if not 0 <= self.guarantee <= self.max_size:
            raise UsageError("a guest's guarantee lies between 0 and its max_size")
        if self.shares is not None and self.shares <= 0:
            raise UsageError(f"a guest's shares are {self.shares}, not above 0")
        sizes = (self.max_size, *(plug.max_size for plug in self.plugs))
        if list(sizes) != sorted(sizes):
            raise UsageError("memory that is plugged in makes a guest larger each time")


@dataclass(frozen=True, slots=True)
class House:
    """One host and its guests."""

    name: str
    budget: float
    """What all guests together may hold; beyond it the host swaps, bytes."""
    guests: tuple[GuestSpec, ...]
    swap_size: float = 0.0
    """The host's own swap; beyond that its OOM killer takes guests, bytes."""
    node_sizes: tuple[float, ...] = ()
    """The NUMA nodes that the budget consists of; one node where none are named."""

    def __post_init__(self) -> None:
        """Check what is not checked elsewhere. Raises `UsageError`."""
        if not 0 < self.budget < np.inf:
            raise UsageError(f"the budget of {self.name} is {self.budget}, not a number above 0")
        if any(not 0 <= guest.node < max(len(self.node_sizes), 1) for guest in self.guests):
            raise UsageError(f"a guest of {self.name} is on a NUMA node that it has not")


@dataclass(frozen=True)
class World:
    """All houses, and the columns of all their guests, house after house."""

    houses: tuple[House, ...]
    guests: tuple[GuestSpec, ...] = field(repr=False)
    house: IntArray = field(repr=False)
    """In which house each guest starts: a row of `houses`."""
    within: IntArray = field(repr=False)
    """Which guest of its house it is."""

    @classmethod
    def of(cls, houses: Sequence[House]) -> Self:
        """Return the world of these houses. Raises `UsageError` where two have one name."""
        if not any(house.guests for house in houses):
            raise UsageError("there is nobody to simulate: no house has a guest")
        names = {house.name for house in houses}
        if len(names) != len(houses):
            raise UsageError("two houses have the same name")
        counts = np.array([len(house.guests) for house in houses], dtype=np.int64)
        guests = tuple(guest for house in houses for guest in house.guests)
        for guest in guests:
            for migration in guest.migrations:
                if migration.to not in names:
                    raise UsageError(f"a guest migrates to {migration.to}, which is no house")
        return cls(
            houses=tuple(houses),
            guests=guests,
            house=np.repeat(np.arange(len(houses)), counts),
            within=np.concatenate([np.arange(0), *(np.arange(count) for count in counts)]),
        )

    def __len__(self) -> int:
        """Return the number of guests."""
        return len(self.guests)

    def blocks(self, size: int) -> Iterator[Self]:
        """Return parts of whole houses with about `size` guests each.

        Houses that exchange guests stay together, so then there is one part only.
        """
        if any(guest.migrations for guest in self.guests):
            yield self
            return
        part: list[House] = []
        count = 0
        for house in self.houses:
            if part and count + len(house.guests) > size:
                yield self.of(part)
                part, count = [], 0
            part.append(house)
            count += len(house.guests)
        if part:
            yield self.of(part)

    def column(self, name: str) -> FloatArray:
        """Return an attribute of all guests as a column."""
        return np.array([getattr(guest, name) for guest in self.guests], dtype=np.float64)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Return what policies know the guests by."""
        return tuple(
            f"{self.houses[house].name}/{row}"
            for house, row in zip(self.house.tolist(), self.within.tolist(), strict=True)
        )

    @cached_property
    def identities(self) -> npt.NDArray[np.uint64]:
        """Return a number for each guest, made of its house's name and its place there."""
        names = np.array([crc32(house.name.encode()) for house in self.houses], dtype=np.uint64)
        return names[self.house] << np.uint64(32) | self.within.astype(np.uint64)
