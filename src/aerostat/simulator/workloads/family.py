"""What a family of guests is, and the machines that they are. Adapter, NumPy.

Guests of a family are of one kind and no two are alike. Guest number *i* of a seed is always the
same guest, however many there are, so that a fuller host has the guests of an emptier one and more.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aerostat.model.plans import Plan
from aerostat.simulator.workloads.curves import Curve, level, moments, wander
from aerostat.simulator.world import GuestSpec
from aerostat.units import GIB, MIB

# Sizes as they are sold, and how many of ten guests have each: half have at most 1 GiB, the mean
# is 1.5 GiB, so that ten of static size fill a host of 16 GiB.
_SIZES = {512 * MIB: 1.5, 768 * MIB: 1, GIB: 2.5, 1536 * MIB: 1.5, 2 * GIB: 2, 3 * GIB: 0.8}
_SIZES[4 * GIB] = 0.7
# What a guest's kernel keeps: about what the model reserves and uses for itself.
_KERNEL, _KERNEL_SHARE = 40 * MIB, 1 / 40
# Of what is left, this much may be wanted at most: with all its RAM a guest has what it needs.
FULL = 0.9
# What is configured where nobody says anything (`aerostat.toml`): a quarter, 64 MiB at least.
GUARANTEE, _LEAST_GUARANTEE = 0.25, 64 * MIB


class Machine(NamedTuple):
    """A guest before anything runs in it; sizes are bytes."""

    max_size: int
    swap_size: int
    deflate_on_oom: bool
    reporting: bool
    guarantee: int
    grow_rate: float
    """How fast its programs take memory at most, bytes a second."""

    @property
    def room(self) -> float:
        """What programs and files can have when the balloon is empty."""
        return self.max_size * (1 - _KERNEL_SHARE) - _KERNEL

    def spec(
        self,
        seconds: float,
        *,
        hold: Curve,
        mapped: float,
        files: Mapping[str, Curve],
        cold: Curve | None = None,
        arrives: float = 0.0,
    ) -> GuestSpec:
        """Return the guest that wants this, all of it in bytes or bytes a second.

        `cold` is the share of `hold` that is not touched, `files` the columns about them. What does
        not fit even with an empty balloon is not wanted: somebody chose this guest's size.
        """
        held = hold.within(0.0, FULL * self.room - mapped)
        idle = level(0.0) if cold is None else cold.within(0.0, 1.0)
        at = np.unique(np.concatenate([held.at, idle.at]))
        unused = Curve(at, held.over(at) * idle.over(at))
        wants = {"hold": held, "cold": unused, "mapped": level(mapped), **files}
        return self.guest(Plan(moments(seconds, wants), self.grow_rate, arrives))

    def guest(self, plan: Plan) -> GuestSpec:
        """Return the guest that wants what a plan says."""
        return GuestSpec(
            max_size=self.max_size,
            plan=plan,
            swap_size=self.swap_size,
            deflate_on_oom=self.deflate_on_oom,
            reporting=self.reporting,
            guarantee=self.guarantee,
        )


def machine(
    rng: np.random.Generator,
    *,
    size: int | None = None,
    smallest: int = 512 * MIB,
    grow_rates: tuple[float, float] = (64 * MIB, 256 * MIB),
    deflating: float = 0.25,
    guarantee: float = GUARANTEE,
) -> Machine:
    """Draw a machine: a third have swap, half report free pages.

    Its size is drawn, from `smallest` on, where it is not given. `deflating` is the share of those
    whose balloon deflates on OOM, `guarantee` the share of its size that is each one's.
    """
    sizes = np.array([size for size in _SIZES if size >= smallest])
    weights = np.array([_SIZES[int(size)] for size in sizes])
    drawn = int(rng.choice(sizes, p=weights / weights.sum()))
    size = drawn if size is None else size
    swaps, deflates, reports = rng.random(3)
    slow, fast = np.log(grow_rates)
    return Machine(
        max_size=size,
        swap_size=size // 2 if swaps < 1 / 3 else 0,
        deflate_on_oom=bool(deflates < deflating),
        reporting=bool(reports < 1 / 2),
        guarantee=max(int(size * guarantee), _LEAST_GUARANTEE),
        grow_rate=float(np.exp(rng.uniform(slow, fast))),
    )


def programs(rng: np.random.Generator, machine: Machine, low: float = 20, high: float = 150) -> int:
    """Draw how much of programs and libraries is in constant use: `low` to `high` MiB."""
    return int(min(rng.uniform(low, high) * MIB, 0.15 * machine.room))


def reading(
    rng: np.random.Generator,
    machine: Machine,
    seconds: float,
    *,
    rates: tuple[float, float],
    spans: tuple[float, float],
    skews: tuple[float, float] = (2.0, 4.0),
    every: float = 40.0,
) -> dict[str, Curve]:
    """Draw what is read of files: at `rates` (MiB/s), of `spans` (of the machine's room).

    The rate wanders by a third; `skews` says how much the popular ones are preferred.
    """
    rate = float(np.exp(rng.uniform(*np.log(rates)))) * MIB
    return {
        "read_rate": wander(rng, seconds, mean=rate, spread=rate / 3, every=every),
        "read_span": level(float(rng.uniform(*spans)) * machine.room),
        "skew": level(float(rng.uniform(*skews))),
        "write_rate": level(rate * float(rng.uniform(0.05, 0.4))),
    }


Maker = Callable[[np.random.Generator, int, float, np.random.Generator], GuestSpec]
"""Makes a guest: of its own randomness, its number, how long the run is in seconds, and what is
common to all guests of the seed, a generator that begins anew for each."""


@dataclass(frozen=True, slots=True)
class Family:
    """Guests of one kind."""

    name: str
    title: str
    words: str
    """What it stands for, in a sentence."""
    make: Maker

    def guest(
        self,
        rng: np.random.Generator,
        index: int,
        seconds: float,
        common: np.random.Generator | None = None,
    ) -> GuestSpec:
        """Return guest number `index`, for a run of `seconds`, of the randomness in `rng`."""
        return self.make(rng, index, seconds, common or np.random.default_rng(0))

    def guests(
        self, seed: int, count: int, seconds: float, first: int = 0
    ) -> tuple[GuestSpec, ...]:
        """Return `count` guests of a seed, from number `first` on."""
        family = zlib.crc32(self.name.encode())
        return tuple(
            self.guest(
                np.random.default_rng([seed, family, index + 1]),
                index,
                seconds,
                np.random.default_rng([seed, family, 0]),
            )
            for index in range(first, first + count)
        )
