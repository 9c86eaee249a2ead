"""What a fault of a driver is, and how one is planted. Touches classes, in this process only."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """A driver with one fault: it violates one of the statements `ids`, at the least.

    `plant` breaks the process guest of this process.
    """

    name: str
    ids: tuple[str, ...]
    plant: Callable[[], None]


#: All faults, by name.
FAULTS: dict[str, Fault] = {}


def fault(*ids: str) -> Callable[[Callable[[], None]], None]:
    """Return a decorator that puts a function, which plants it, among the faults."""

    def put(plant: Callable[[], None]) -> None:
        name = plant.__name__.replace("_", "-")
        FAULTS[name] = Fault(name, ids, plant)

    return put


def replace(owner: type | Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a method, or a function of a module, by what `make` makes of it."""
    setattr(owner, name, make(getattr(owner, name)))
