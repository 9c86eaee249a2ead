"""What a fault is, and how one is planted. Touches classes of the device, in this process."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """A device with one fault: it violates one of the statements `ids`, at the least.

    `plant` breaks the device of this process; `options` are further ones of its command line.
    """

    name: str
    ids: tuple[str, ...]
    plant: Callable[[], None]
    options: tuple[str, ...] = ()


#: All faults, by name.
FAULTS: dict[str, Fault] = {}


def fault(*ids: str, options: tuple[str, ...] = ()) -> Callable[[Callable[[], None]], None]:
    """Return a decorator that puts a function, which plants it, among the faults."""

    def put(plant: Callable[[], None]) -> None:
        name = plant.__name__.replace("_", "-")
        FAULTS[name] = Fault(name, ids, plant, options)

    return put


def replace(owner: type | Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a method, or a function of a module, by what `make` makes of it."""
    setattr(owner, name, make(getattr(owner, name)))
