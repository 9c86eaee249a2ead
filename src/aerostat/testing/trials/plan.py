"""Who is in a trial, what each of them does and when, and what befalls the manager. Pure."""

from dataclasses import dataclass
from typing import Literal

from aerostat.model.workload import Step, Workload
from aerostat.units import MIB

Kind = Literal["libvirt", "qemu", "uml"]
Conduct = Literal["honest", "hangs", "lies"]

#: Every guest has this much memory, in bytes, and is promised so much.
SIZE = 256 * MIB
GUARANTEE = 80 * MIB

_AT_REST, _AT_WORK = 8 * MIB, 104 * MIB
_GROW_RATE = 16 * MIB
# The work moves on from guest to guest; two have it at a time, who are not neighbours.
_APART = 3


@dataclass(frozen=True, slots=True)
class Resident:
    """One guest of the trial."""

    name: str
    kind: Kind
    conduct: Conduct = "honest"


@dataclass(frozen=True, slots=True)
class Plan:
    """One trial; bytes and seconds."""

    residents: tuple[Resident, ...]
    budget: int
    seconds: float
    turn: float
    """How long the work stays with a guest."""
    interval: float = 1.0
    deaths: tuple[float, ...] = (1 / 3, 2 / 3)
    """When the manager is killed, as parts of the trial's time."""
    dead_for: float = 2.0
    hangs: tuple[float, float] = (10.0, 20.0)
    """How long the guest that hangs hangs, and how long it then does not."""

    @property
    def memory(self) -> int:
        """Return what all guests could have."""
        return SIZE * len(self.residents)

    def workload(self, place: int) -> Workload:
        """Return what the guest at `place` does: it works when the work comes by."""
        count = len(self.residents)
        works = {place, (place + _APART) % count}
        steps = tuple(
            Step(turn * self.turn, _AT_WORK if turn in works else _AT_REST) for turn in range(count)
        )
        name = self.residents[place].name
        return Workload(name, steps, period=count * self.turn, grow_rate=_GROW_RATE)


#: Eight guests: domains of libvirt, plain QEMU, user-mode Linux. Two are hostile.
RESIDENTS = (
    Resident("domain1", "libvirt"),
    Resident("uml1", "uml"),
    Resident("qemu1", "qemu"),
    Resident("domain2", "libvirt"),
    Resident("liar", "qemu", "lies"),
    Resident("uml2", "uml"),
    Resident("domain3", "libvirt"),
    Resident("hanging", "qemu", "hangs"),
)


def whole(seconds: float = 600.0) -> Plan:
    """Return the trial as it is meant: ten minutes."""
    return Plan(RESIDENTS, budget=1536 * MIB, seconds=seconds, turn=20.0)


def short(seconds: float = 48.0) -> Plan:
    """Return one for which tests have the time: the same guests, and the work moves faster."""
    return Plan(
        RESIDENTS, budget=1536 * MIB, seconds=seconds, turn=6.0, interval=0.5, hangs=(5.0, 7.0)
    )
