"""What a policy is: something that is shown hosts and guests, and says which size each should have.

A policy is a frozen dataclass whose fields are its knobs. It is pure: no clock, no file, no random
numbers; what it wants to remember from one step to the next it returns, and is given back. All of
it is columnar: one row a guest, many hosts at once (`aerostat.engine.observation`).

The engine itself is one (`aerostat.engine.policies.aerostat`); the others are the rules of other
managers, as published, for comparison, and whatever an entry point of the group
``aerostat.policies`` names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np

from aerostat.engine.observation import FloatArray, Guests, Hosts


class Decided(Protocol):
    """What comes out of a policy's step; `aerostat.engine.plan.Plan` is one."""

    @property
    def target_size(self) -> FloatArray:
        """What to ask of each balloon now, bytes; NaN for nothing."""

    def sentence(self, row: int) -> str:
        """Return why the guest in `row` is moved, or why not."""


class Policy(Protocol):
    """Decides which size each guest should have."""

    name: ClassVar[str]
    """What it is called on the command line."""

    @property
    def interval(self) -> float:
        """Seconds between two of its steps."""

    def start(self) -> Any:
        """Return what a manager remembers that has seen nothing."""

    def step(self, memory: Any, now: float, hosts: Hosts, guests: Guests) -> tuple[Any, Decided]:
        """Return what to remember after this observation, and what to do about it.

        `now` is monotonic seconds. Nothing that it is given is changed.
        """


@dataclass(frozen=True, slots=True)
class Decision:
    """Sizes, and how to say why: the simple kind of `Decided`."""

    target_size: FloatArray
    why: Callable[[int], str] = str
    """Makes a sentence of a row, only when somebody asks."""

    def sentence(self, row: int) -> str:
        """Return why the guest in `row` is moved, or why not."""
        return self.why(row)


@dataclass(frozen=True, slots=True)
class Memory:
    """Columns that a policy remembers, one row a guest, in the order of `keys`."""

    keys: tuple[str, ...]
    columns: Mapping[str, FloatArray]

    @classmethod
    def blank(cls) -> Self:
        """Return the memory of a manager that has seen nothing."""
        return cls((), {})

    def aligned(self, keys: tuple[str, ...], **new: float) -> Self:
        """Return the columns in the order of `keys`; `new` names them, and what a new guest has.

        Guests that are gone are forgotten.
        """
        if keys == self.keys and new.keys() == self.columns.keys():
            return self
        places = {key: row for row, key in enumerate(self.keys)}
        rows = np.array([places.get(key, -1) for key in keys], dtype=np.int64)
        columns = {}
        for name, value in new.items():
            column = np.full(len(keys), value)
            before = self.columns.get(name)
            if before is not None:
                column[rows >= 0] = before[rows[rows >= 0]]
            columns[name] = column
        return type(self)(keys, columns)

    def __getitem__(self, name: str) -> FloatArray:
        """Return a column by its name."""
        return self.columns[name]


class Knob(NamedTuple):
    """Between which values a field of a policy may be tuned."""

    low: float
    high: float
    logarithmic: bool = False


Knobs = Mapping[str, Knob]


def knobs_of(policy: type[Any]) -> Knobs:
    """Return the knobs that a policy has: its class's `KNOBS`, or none."""
    return dict(getattr(policy, "KNOBS", {}))


def sums(column: FloatArray, guests: Guests, hosts: Hosts) -> FloatArray:
    """Return the sum of a column of guests on each host."""
    return np.bincount(guests.host, column, minlength=len(hosts)).astype(np.float64)
