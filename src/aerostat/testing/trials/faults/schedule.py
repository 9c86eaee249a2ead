"""Which fault befalls whom, when, and for how long: all of it from a seed. Pure.

Faults come in rounds of one to four, which overlap; before the next round everything has to be
well again. A round follows from the seed and its number alone, so that any one can be made again.
"""

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from aerostat.errors import UsageError
from aerostat.units import MIB

Victim = Literal["device", "guest", "frontend", "monitor", "manager", "helper", "libvirtd"]


class Kind(NamedTuple):
    """One kind of fault: whom it befalls, how often beside the others, and what it is."""

    victim: Victim
    weight: int
    what: str


KINDS = {
    "kill-device": Kind("device", 8, "the device process is killed, another one started"),
    "pause-device": Kind("device", 6, "the device process is stopped"),
    "starve-device": Kind("device", 4, "the device gets a tenth of the time"),
    "descriptors-device": Kind("device", 3, "the device may open no descriptor more"),
    "memory-device": Kind("device", 3, "the device gets no memory more"),
    "replace-device": Kind("device", 4, "another device process goes on in the place of this one"),
    "contest-device": Kind("device", 4, "the same, and one of the two is killed at some moment"),
    "kill-guest": Kind("guest", 8, "the guest is killed, another one started on its device"),
    "pause-guest": Kind("guest", 6, "the guest is stopped, kernel and all"),
    "starve-guest": Kind("guest", 4, "the guest gets a tenth of the time"),
    "cut-frontend": Kind("frontend", 7, "the front-end is disconnected from its device"),
    "tear-frontend": Kind("frontend", 4, "the same, in the middle of a message"),
    "hang-frontend": Kind("frontend", 4, "front-end and device do not hear each other"),
    "cut-monitor": Kind("monitor", 7, "all clients of the device's monitor are disconnected"),
    "tear-monitor": Kind("monitor", 4, "the same, in the middle of a message"),
    "hang-monitor": Kind("monitor", 6, "the monitor takes connections and does not answer"),
    "kill-manager": Kind("manager", 8, "the manager is killed and started again"),
    "pause-manager": Kind("manager", 4, "the manager is stopped"),
    "starve-manager": Kind("manager", 3, "the manager gets a tenth of the time"),
    "descriptors-manager": Kind("manager", 3, "the manager may open no descriptor more"),
    "memory-manager": Kind("manager", 2, "the manager gets no memory more"),
    "disk-manager": Kind("manager", 4, "the manager's disk is full"),
    "kill-helper": Kind("helper", 4, "the manager's libvirt helper is killed"),
    "pause-helper": Kind("helper", 3, "the helper is stopped"),
    "starve-helper": Kind("helper", 2, "the helper gets a tenth of the time"),
    "kill-libvirtd": Kind("libvirtd", 2, "libvirtd is killed and started again"),
    "pause-libvirtd": Kind("libvirtd", 2, "libvirtd is stopped"),
}

#: Where these are hurt, no guest is meant but all, or all of libvirt's.
HOUSEHOLD: Collection[Victim] = ("manager", "helper", "libvirtd")


@dataclass(frozen=True, slots=True)
class Resident:
    """One guest of the house. `options` are a process guest's; `size` is in bytes."""

    name: str
    kind: Literal["process", "uml", "libvirt"]
    size: int
    options: tuple[str, ...] = ()

    @property
    def victims(self) -> tuple[Victim, ...]:
        """What of it can be hurt."""
        if self.kind == "libvirt":
            return ("guest",)
        return ("device", "guest", "frontend", "monitor")

    @property
    def reconnects(self) -> bool:
        """Whether it outlives its device."""
        return self.kind == "libvirt" or "--reconnect" in self.options


# With swap no program of theirs need be killed, whatever becomes of balloon and manager.
_SWAP = ("--swap", "128MiB")
_SIZE = 160 * MIB

#: Who lives in the house of a campaign: old and new drivers, memory in order and scattered, guests
#: that outlive their device and guests that do not; and two real kernels, where they can be had.
PROCESSES = (
    Resident("p1", "process", _SIZE, ("--reconnect", *_SWAP)),
    Resident("p2", "process", _SIZE, ("--reconnect", "--scattered", "--seed", "2", *_SWAP)),
    Resident("p3", "process", _SIZE, ("--reconnect", "--no-free-page-reporting", *_SWAP)),
    Resident("p4", "process", _SIZE, ("--reconnect", "--peer", "2009", *_SWAP)),
    Resident("p5", "process", _SIZE, _SWAP),
    Resident("p6", "process", _SIZE, ("--scattered", *_SWAP)),
)
UML = Resident("uml", "uml", _SIZE)
DOMAIN = Resident("domain", "libvirt", 192 * MIB)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `at` seconds after its round began, for `lasts` seconds.

    `on` is the guest that is meant, or the victim itself where that is of the household.
    """

    number: int
    kind: str
    on: str
    at: float
    lasts: float

    @property
    def victim(self) -> Victim:
        """What is hurt."""
        return KINDS[self.kind].victim

    def __str__(self) -> str:
        """Say it in short."""
        return f"{self.number}: {self.kind} {self.on} at {self.at:.2f} s for {self.lasts:.2f} s"


class Tempo(NamedTuple):
    """How fast faults follow each other, in seconds: within what a round begins, ..."""

    within: float
    lasts: Sequence[tuple[int, float, float]]
    """... and how long they last: weight, from, to."""


#: Some last longer than figures count as fresh (`Settings.fresh_for`): what is done in the dark?
WHOLE = Tempo(1.0, ((14, 0.05, 1.0), (5, 1.0, 3.0), (1, 5.5, 7.0)))
BRISK = Tempo(0.4, ((1, 0.05, 0.5),))

_SIZES = ((1, 2, 3, 4), (3, 4, 2, 1))


@dataclass(frozen=True, slots=True)
class Schedule:
    """What befalls a house of `residents`; the same for the same values.

    `only` are kinds, or words of their names (``kill``, ``device``); nothing there is all of them.
    """

    residents: tuple[Resident, ...]
    seed: int
    only: tuple[str, ...] = ()
    tempo: Tempo = WHOLE

    @property
    def kinds(self) -> list[str]:
        """Return the kinds that can happen here. Raises `UsageError` where there is none."""
        there = {victim for resident in self.residents for victim in resident.victims} | {"manager"}
        if any(resident.kind == "libvirt" for resident in self.residents):
            there |= {"helper", "libvirtd"}
        kinds = [name for name, kind in KINDS.items() if kind.victim in there]
        for word in self.only:
            if not any(word == name or word in name.split("-") for name in kinds):
                raise UsageError(
                    f"no fault {word!r} can happen here; there are: {', '.join(kinds)}"
                )
        return [
            name
            for name in kinds
            if not self.only or name in self.only or set(self.only) & set(name.split("-"))
        ]

    def rounds(self, count: int, first: int = 1) -> Iterator[tuple[Fault, ...]]:
        """Yield rounds of `count` faults in all, from the one with fault number `first` on."""
        kinds, number, turn = self.kinds, 1, 0
        while number < first + count:
            turn += 1
            made = self._round(turn, number, kinds)[: first + count - number]
            number += len(made)
            if number > first:
                yield made

    def _round(self, turn: int, number: int, kinds: Sequence[str]) -> tuple[Fault, ...]:
        chance = random.Random(f"{self.seed}/{turn}")  # noqa: S311 - a script, not a secret
        weights = [KINDS[kind].weight for kind in kinds]
        size = chance.choices(*_SIZES)[0]
        faults: list[Fault] = []
        hurt: set[tuple[str, str]] = set()
        for kind in chance.choices(kinds, weights, k=size):
            victim = KINDS[kind].victim
            on = self._choose(chance, victim)
            at = chance.uniform(0.0, self.tempo.within)
            lasts = self._lasts(chance)
            # One process suffers one fault at a time: they would lift each other.
            if (victim, on) not in hurt:
                hurt.add((victim, on))
                faults.append(Fault(number + len(faults), kind, on, round(at, 3), round(lasts, 3)))
        return tuple(faults)

    def _choose(self, chance: random.Random, victim: Victim) -> str:
        if victim in HOUSEHOLD:
            return victim
        return chance.choice([one.name for one in self.residents if victim in one.victims])

    def _lasts(self, chance: random.Random) -> float:
        weights = [weight for weight, _, _ in self.tempo.lasts]
        _, least, most = chance.choices(self.tempo.lasts, weights)[0]
        return chance.uniform(least, most)
