"""What was recorded of real machines, and guests that play it. Adapter, NumPy; no I/O.

Traces have a sample every five minutes, and machines of any size. A guest plays an excerpt at 30
times the speed, so that a sample lasts ten seconds, and is scaled so that its machine has 0.5 to 4
GiB: shares stay what they were. All guests have the same excerpt: what happened to many machines at
once still does. What a sample hides, bursts of less than five minutes, nobody knows: what is gained
on a trace is an upper bound.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from aerostat.errors import UsageError
from aerostat.model.plans import Moment, Plan
from aerostat.simulator.workloads.family import FULL, Family, Machine, machine
from aerostat.simulator.world import GuestSpec
from aerostat.units import GIB, MIB

FloatArray = npt.NDArray[np.float64]

COLD = 0.32
"""The share of what programs hold that is not touched within two minutes, where a trace does not
say: what was published of a large fleet."""
_MAPPED = 60 * MIB
# Some files are preferred, as everywhere.
_SKEW = 2.0
_SMALLEST, _LARGEST = 512 * MIB, 4 * GIB
SPEED = 30.0
# Of all machines together: 400 MB.
_MOST_SAMPLES = 10_000_000
# A plan has at most as many moments; a longer excerpt is thinned.
_MOST_MOMENTS = 400


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One machine's past. Columns have an element a sample."""

    name: str
    size: float
    """Its memory, bytes."""
    at: FloatArray
    """Seconds, ever later; of all machines of a trace on the same clock."""
    hold: FloatArray
    """What programs held, bytes."""
    cold: FloatArray
    """How much of it they did not touch."""
    files: FloatArray
    """Of how many bytes files were read."""
    read_rate: FloatArray
    """Bytes a second."""
    write_rate: FloatArray


@dataclass(slots=True)
class Samples:
    """What has been read of one machine so far."""

    name: str
    size: float = 0.0
    """The most that it ever had."""
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def add(
        self, at: float, hold: float, *, cold: float, files: float, reads: float, writes: float
    ) -> None:
        """Append a sample."""
        self.values.extend((at, hold, cold, files, reads, writes))

    def trace(self) -> Trace:
        """Return them in order of time; of two at the same time, the later one."""
        table = np.array(self.values).reshape(-1, 6)[::-1]
        _, first = np.unique(table[:, 0], return_index=True)
        return Trace(self.name, self.size, *table[first].T.copy())


class Collection:
    """What has been read of all machines: at most `limit` of them, and not more than fits."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._machines: dict[str, Samples] = {}
        self._count = 0

    @property
    def full(self) -> bool:
        """Whether there is room for no other machine."""
        return len(self._machines) >= self._limit

    def of(self, name: str) -> Samples | None:
        """Return a machine for another sample, a new one if need be; None where it is one too many.

        Raises `UsageError` where there are more samples than should be in memory.
        """
        found = self._machines.get(name)
        if found is None:
            if self.full:
                return None
            found = self._machines[name] = Samples(name)
        self._count += 1
        if self._count > _MOST_SAMPLES:
            raise UsageError(f"more than {_MOST_SAMPLES} samples: read fewer machines at once")
        return found

    def traces(self, what: object) -> list[Trace]:
        """Return those that had any memory. Raises `UsageError` where `what` has none."""
        found = [
            one.trace() for one in self._machines.values() if one.size > 0 and len(one.values) > 0
        ]
        if not found:
            raise UsageError(f"{what}: no machine with memory in it")
        return found


def family_of(
    name: str, traces: Sequence[Trace], *, speed: float = SPEED, largest: int = _LARGEST
) -> Family:
    """Return the family whose guests play these traces, in an order that depends on the seed.

    An hour of the trace takes an hour by `speed`; a seed's guests play the same excerpt, where
    there are more of them than traces others. No machine is larger than `largest` bytes. What
    traces do not say, who has swap and reports free pages and how fast programs take memory, is
    drawn as for the other families. Raises `UsageError` where there is no trace.
    """
    if not traces or speed <= 0 or largest < _SMALLEST:
        raise UsageError("guests of traces need a trace, time that passes, and 512 MiB at least")
    first = min(float(trace.at[0]) for trace in traces)
    last = max(float(trace.at[-1]) for trace in traces)

    def make(
        rng: np.random.Generator, index: int, seconds: float, common: np.random.Generator
    ) -> GuestSpec:
        part, order = float(common.random()), common.permutation(len(traces))
        turn, place = divmod(index, len(traces))
        if turn:
            part = float(rng.random())
        begin = first + part * max(last - first - seconds * speed, 0.0)
        return _guest(traces[order[place]], rng, begin, seconds, speed, largest)

    words = f"{len(traces)} machines of a trace, {speed:g} times as fast."
    return Family(name, f"Trace {name}", words, make)


def as_guests(
    traces: Sequence[Trace],
    seconds: float,
    *,
    seed: int = 0,
    speed: float = SPEED,
    largest: int = _LARGEST,
) -> tuple[GuestSpec, ...]:
    """Return a guest for each trace; see `family_of`."""
    family = family_of("trace", traces, speed=speed, largest=largest)
    return family.guests(seed, len(traces), seconds)


def _guest(
    trace: Trace,
    rng: np.random.Generator,
    begin: float,
    seconds: float,
    speed: float,
    largest: int,
) -> GuestSpec:
    of = machine(rng, size=int(min(max(trace.size, _SMALLEST), largest)))
    return of.guest(Plan(_moments(trace, begin, seconds, speed, of), grow_rate=of.grow_rate))


def _moments(
    trace: Trace, begin: float, seconds: float, speed: float, of: Machine
) -> tuple[Moment, ...]:
    """Return the excerpt from `begin` on, as wants of a machine of another size.

    Rates of reading and writing are scaled with the memory, not with the time.
    """
    inside = trace.at[(trace.at > begin) & (trace.at < begin + seconds * speed)]
    inside = inside[:: len(inside) // _MOST_MOMENTS + 1]
    at = np.concatenate([[begin], inside])
    scale = of.max_size / trace.size

    def excerpt(column: FloatArray) -> FloatArray:
        return np.asarray(np.interp(at, trace.at, column * scale))

    mapped = min(_MAPPED, 0.15 * of.room)
    hold = np.clip(excerpt(trace.hold), 0.0, FULL * of.room - mapped)
    columns = (
        (at - begin) / speed,
        hold,
        np.minimum(excerpt(trace.cold), hold),
        np.full(len(at), mapped),
        excerpt(trace.read_rate),
        excerpt(trace.files),
        np.full(len(at), _SKEW),
        excerpt(trace.write_rate),
    )
    return tuple(Moment(*row) for row in zip(*(c.tolist() for c in columns), strict=True))
