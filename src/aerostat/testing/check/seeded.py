"""Faults that are planted to try the kit: what one is, and whether the kit finds it.

Devices and drivers have catalogues of their own, `device.faults` and `driver.faults`. Planting
touches classes of the process that it is done in; looking prints.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aerostat.errors import UsageError
from aerostat.testing.check.verdicts import Outcome, Verdict

#: The part of the faults that the kit must find.
ENOUGH = 0.95


class Fault(NamedTuple):
    """A device or driver with one fault: it violates one of the statements `ids`, at the least.

    `plant` breaks the one of this process; `options` are further ones of its command line.
    """

    name: str
    ids: tuple[str, ...]
    plant: Callable[[], None]
    options: tuple[str, ...] = ()


class Faults(Mapping[str, Fault]):
    """A catalogue of faults, by name."""

    def __init__(self) -> None:
        self._all: dict[str, Fault] = {}

    def fault(
        self, *ids: str, options: tuple[str, ...] = ()
    ) -> Callable[[Callable[[], None]], None]:
        """Return a decorator that puts a function, which plants it, among the faults."""

        def put(plant: Callable[[], None]) -> None:
            name = plant.__name__.replace("_", "-")
            self._all[name] = Fault(name, ids, plant, options)

        return put

    def find(self, name: str) -> Fault:
        """Return the fault of that name. Raises `UsageError` if there is none."""
        if name not in self:
            raise UsageError(f"no fault is called {name}; there are {', '.join(self)}")
        return self[name]

    def __getitem__(self, name: str) -> Fault:
        """Return the fault of that name. Raises `KeyError`."""
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._all)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._all)


def replace(owner: type | Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a method, or a function of a module, by what `make` makes of it."""
    setattr(owner, name, make(getattr(owner, name)))


class Found(NamedTuple):
    """What the kit found: the statements that are not kept."""

    name: str
    wanted: tuple[str, ...]
    ids: tuple[str, ...]
    seconds: float

    @property
    def right(self) -> bool:
        """Whether one of the statements is not kept that the fault violates."""
        return bool({*self.wanted} & {*self.ids})


class LookFor(Protocol):
    """Checks a device or driver with this fault, by all that there is or by these statements."""

    def __call__(self, fault: Fault, *, only: Sequence[str] = ()) -> Found:
        """Return what was found."""


def not_kept(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """Return the statements that are not kept, each once."""
    bad = (Outcome.FAIL, Outcome.WARNING)
    return tuple(dict.fromkeys(each.id for each in verdicts if each.outcome in bad))


def look_for_all(faults: Faults, sound: Iterable[Fault], look_for: LookFor) -> int:
    """Look for the faults that the command line names, or for all, and print what is found.

    With ``--quick``, by the statements alone that each violates. `sound` are as they should be.
    Returns the exit status: 1 if less than `ENOUGH` are found, or anything in those.
    """
    quick = "--quick" in sys.argv
    names = [name for name in sys.argv[1:] if name != "--quick"] or list(faults)
    found = []
    for fault in map(faults.find, names):
        one = look_for(fault, only=fault.ids if quick else ())
        found.append(one)
        sign = "found" if one.right else "MISSED"
        print(f"{sign:<7} {one.name:<48} {one.seconds:5.1f} s  {' '.join(one.ids)}", flush=True)
    alarms = [look_for(fault) for fault in sound]
    for one in alarms:
        sign = "false" if one.ids else "none"
        print(f"{sign:<7} without a fault: {one.name} {' '.join(one.ids)}")
    share = sum(one.right for one in found) / len(found)
    print(f"{share:.0%} of {len(found)} found")
    return int(share < ENOUGH or any(one.ids for one in alarms))
