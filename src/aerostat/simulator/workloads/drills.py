"""Drills: scenarios in which one thing goes wrong, or all at once. Adapter, NumPy.

Density says how well a policy does from day to day; these say what it does in an emergency. The
guests are steady services, unless a drill says otherwise; what happens happens at half time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from aerostat.model.plans import Moment, Plan
from aerostat.simulator.workloads import boot_storm, liar, steady
from aerostat.simulator.workloads.family import GUARANTEE, Family
from aerostat.simulator.workloads.happenings import burst
from aerostat.simulator.world import GuestSpec, House, Migration, Plug
from aerostat.units import GIB, MIB

BUDGET = 16 * GIB
SECONDS = 600.0

Alter = Callable[[GuestSpec, int, float], GuestSpec]
"""Makes another guest of one, by its number and when the drill begins."""


@dataclass(frozen=True, slots=True)
class Drill:
    """A house in which something happens."""

    name: str
    words: str
    family: Family = steady.FAMILY
    alter: Alter | None = None
    course: Mapping[str, float] = field(default_factory=dict)
    """What `simulate` is told besides, such as how many samples are lost."""
    newcomer: bool = False
    """Whether a guest migrates in from a house of its own."""

    def houses(
        self, seed: int, count: int, *, seconds: float = SECONDS, budget: float = BUDGET
    ) -> tuple[House, ...]:
        """Return the house of `count` guests first; there may be others. Bytes, seconds."""
        begins = seconds / 2
        guests = self.family.guests(seed, count, seconds)
        if self.alter is not None:
            guests = tuple(self.alter(guest, k, begins) for k, guest in enumerate(guests))
        home = House(f"{self.name}-{seed}", budget, guests, swap_size=budget / 4)
        if not self.newcomer:
            return (home,)
        guest = replace(_big(), migrations=(Migration(begins, home.name),))
        return home, House(f"{self.name}-{seed}-away", budget, (guest,))


def _big() -> GuestSpec:
    """Return a guest of 4 GiB that holds 1.5 and takes memory at 1 GiB/s."""
    plan = Plan((Moment(0.0, 1.5 * GIB, 0.25 * GIB, 60.0 * MIB),), grow_rate=1.0 * GIB)
    return GuestSpec(4.0 * GIB, plan, guarantee=4 * GIB * GUARANTEE)


def _burst(guest: GuestSpec, index: int, begins: float) -> GuestSpec:
    return burst(_big(), begins, 1.9 * GIB, 60.0) if index == 0 else guest


def _stale(guest: GuestSpec, _index: int, begins: float) -> GuestSpec:
    return replace(guest, silent_from=begins)


def _silent(guest: GuestSpec, index: int, _begins: float) -> GuestSpec:
    return replace(guest, dialect="silent") if index % 4 == 3 else guest


def _plugged(guest: GuestSpec, index: int, begins: float) -> GuestSpec:
    """Plug half as much again into every second guest, which wants all of it from then on."""
    if index % 2:
        return guest
    more = guest.max_size // 2
    wanted = burst(guest, begins, 0.8 * more, begins)
    return replace(wanted, plugs=(Plug(begins, guest.max_size + more),))


DRILLS: Mapping[str, Drill] = {
    drill.name: drill
    for drill in (
        Drill("burst", "One guest takes 1.9 GiB within two seconds.", alter=_burst),
        Drill("boot_storm", "Two of three guests start within a minute.", boot_storm.FAMILY),
        Drill("stale", "From half time on nobody tells anything.", alter=_stale),
        Drill("loss_10", "One of ten samples is lost.", course={"loss": 0.1}),
        Drill("loss_50", "Every second sample is lost.", course={"loss": 0.5}),
        Drill("loss_90", "Nine of ten samples are lost.", course={"loss": 0.9}),
        Drill(
            "slow", "Samples come every 10 seconds, and 5 late.", course={"period": 10, "delay": 5}
        ),
        Drill("silent", "Every fourth guest tells nothing at all.", alter=_silent),
        Drill("liars", "Every eighth guest claims to starve.", liar.FAMILY),
        Drill("migration", "A guest of 4 GiB comes with 1.5 GiB in use.", newcomer=True),
        Drill("hot_plug", "Every second guest is given half as much again.", alter=_plugged),
    )
}
"""By name."""
