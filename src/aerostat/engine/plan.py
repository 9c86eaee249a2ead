"""What comes out of a step: moves, and a sentence for each guest.

A sentence is made only when somebody asks for it, from the columns of the plan: a simulation of a
million steps writes none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from aerostat.engine.accounts import Accounts
from aerostat.engine.conditions import Condition
from aerostat.engine.observation import FloatArray, Hosts, IntArray
from aerostat.engine.pressure import Cause
from aerostat.units import format_size


class Reason(IntEnum):
    """Why a guest is moved, or why it is not."""

    # no move
    CONTENT = 0
    NOT_NEEDED = 1
    FELT_IT = 2
    DRAINING = 3
    NOT_COVERED = 4
    BLIND = 5
    ALONE = 6
    SELDOM = 7
    # moves that give
    GROW_DISTRESS = 10
    GROW_NEED = 11
    GROW_COMFORT = 12
    GROW_PINNED = 13
    EASE = 14
    WITHDRAW = 15
    GROW_EMERGENCY = 16
    GIVE_BACK = 17
    GROW_READY = 18
    # moves that take
    SHRINK_IDLE = 20
    SHRINK_SHARE = 21
    SHRINK_BLIND = 22
    SHRINK_PINNED = 23
    SHRINK_SURVIVAL = 24
    SHRINK_RESERVED = 25
    SHRINK_STRAIN = 26


_SENTENCES = {
    Reason.CONTENT: "has {size}: it uses {demand}, and {reserve} should stay in reserve",
    Reason.NOT_NEEDED: "could give {surplus}, but nobody needs it",
    Reason.FELT_IT: "is spared: it felt the want of memory lately ({cause})",
    Reason.DRAINING: "is on its way from {size} to {asked}",
    Reason.NOT_COVERED: "needs {want} and has {size}, but the host cannot cover more yet",
    Reason.BLIND: "keeps its {size}: {blindness}, so nothing is taken",
    Reason.ALONE: "is left alone: {condition}",
    Reason.SELDOM: "keeps its {size}: its figures come too seldom, or it is too new, to take it "
    "below its share of {entitlement}",
    Reason.GROW_DISTRESS: "gets {change} at once: it is in distress ({cause})",
    Reason.GROW_NEED: "gets {change}: it uses {demand} and should keep {reserve} in reserve",
    Reason.GROW_READY: "gets {change} of what others leave idle, for its files or a burst",
    Reason.GROW_COMFORT: "gets {change} back: nobody else needs it",
    Reason.GROW_PINNED: "gets {change}: an operator set it to {pinned}",
    Reason.EASE: "is asked for no more: it felt the want of memory ({cause})",
    Reason.WITHDRAW: "is asked for no more: {condition}",
    Reason.GROW_EMERGENCY: "gets {change} at once, all that is spare: it is in distress ({cause})",
    Reason.GIVE_BACK: "gets {change} back: {condition}",
    Reason.SHRINK_IDLE: "gives {change}: {idle} of its {size} lie idle, and {need} is needed",
    Reason.SHRINK_SHARE: "gives {change}: it has more than its share of {entitlement}, and {need} "
    "is needed",
    Reason.SHRINK_BLIND: "gives {change}: {blindness}, it has more than its share of "
    "{entitlement}, and {need} is needed",
    Reason.SHRINK_PINNED: "gives {change}: an operator set it to {pinned}",
    Reason.SHRINK_SURVIVAL: "gives {change} at once: the guests hold more than {limit}",
    Reason.SHRINK_RESERVED: "gives {change} of what it has beyond its need or its share: "
    "{reserved} is reserved for guests to come",
    Reason.SHRINK_STRAIN: "gives {change} of what it has beyond its need: {strain}",
}

_BY_WISH = {
    Reason.CONTENT: "has {size}: ",
    Reason.GROW_NEED: "gets {change}: ",
    Reason.GROW_COMFORT: "gets {change}: ",
    Reason.SHRINK_IDLE: "gives {change}: ",
    Reason.SHRINK_SHARE: "gives {change}: ",
}
"""How a sentence begins where the size is another policy's wish; it says the rest itself."""

_CAUSES = {
    Cause.NOTHING: "no sign of it now",
    Cause.SCARCITY: "only {idle} idle",
    Cause.SWAP_OUT: "it is swapping out",
    Cause.MAJOR_FAULTS: "it reads back from disk what it had dropped",
    Cause.STALLS: "allocations stall",
    Cause.DIRECT_RECLAIM: "its tasks must reclaim memory themselves",
    Cause.OOM_KILL: "its kernel killed a task for memory",
    Cause.TOOK_BACK: "it took memory back from the balloon",
    Cause.BLOCK_READS: "it reads more from disk since it has less memory",
}

_CONDITIONS = {
    Condition.FRESH: "its figures are fresh",
    Condition.STALE: "its figures are {age:.0f} s old",
    Condition.SILENT: "it does not report",
    Condition.STUCK: "its balloon does not move",
    Condition.USELESS: "its balloon frees no memory of the host",
    Condition.EXEMPT: "it is not to be managed",
    Condition.IMPLAUSIBLE: "its figures cannot be true",
    Condition.DRAINING: "its balloon is on its way",
}


class Move(NamedTuple):
    """One request to one balloon; sizes in bytes."""

    key: str
    from_size: int
    to_size: int
    reason: Reason
    sentence: str

    @property
    def change(self) -> int:
        """Return the bytes given (positive) or taken (negative)."""
        return self.to_size - self.from_size


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One row a guest, in the order of `keys`; sizes in bytes."""

    keys: tuple[str, ...]
    host: IntArray
    guest_size: FloatArray
    target_size: FloatArray
    """What to ask of the balloon now; NaN for nothing."""
    reason: IntArray
    condition: IntArray
    condition_since: FloatArray
    """Monotonic seconds."""
    demand: FloatArray
    reserve: FloatArray
    idle: FloatArray
    pressure: FloatArray
    acute: FloatArray
    cause: IntArray
    confidence: FloatArray
    age: FloatArray
    entitlement: FloatArray
    want: FloatArray
    aim: FloatArray
    """Where the guest's size is going, step by step."""
    pinned: FloatArray
    asked: FloatArray
    speed_up: FloatArray
    """How fast the guest's balloon gives memory back, bytes a second; NaN until it is learned."""
    speed_down: FloatArray
    """How fast it takes memory, bytes a second; NaN until it is learned."""
    need: FloatArray
    """One row a host: what was needed of its guests."""
    hosts: Hosts
    host_strain: FloatArray
    """One row a host: how much the host itself suffers, 0 to 1."""
    reserved_backed: FloatArray
    """One row a host: how much of what is reserved is there now: permitted to nobody, held by
    nobody, and available."""
    accounts: Accounts
    wished: FloatArray
    """The size that another policy wishes and that was heard; NaN where there is none."""
    why_wished: Callable[[int], str]
    """Says of a row why it is wished."""

    def moves(self) -> list[Move]:
        """Return the requests to make, those that take first."""
        rows = np.flatnonzero(~np.isnan(self.target_size))
        change = self.target_size[rows] - self.guest_size[rows]
        return [self._move(int(row)) for row in rows[np.argsort(change, kind="stable")]]

    def explain(self, key: str) -> str:
        """Return a sentence on what is done with guest `key`, and why. Raises KeyError."""
        try:
            row = self.keys.index(key)
        except ValueError:
            raise KeyError(key) from None
        return self.sentence(row)

    def sentence(self, row: int) -> str:
        """Return the sentence on the guest in `row`."""
        reason = Reason(int(self.reason[row]))
        if reason in _BY_WISH and self._follows_wish(row):
            return _BY_WISH[reason].format_map(_Words(self, row)) + self.why_wished(row)
        return _SENTENCES[reason].format_map(_Words(self, row))

    def _follows_wish(self, row: int) -> bool:
        """Tell whether a move goes where another policy wishes: it may be the safeguards' own."""
        wish, size, target = self.wished[row], self.guest_size[row], self.target_size[row]
        still = np.isnan(target) and not np.isnan(wish)
        return bool(still or (target < size and wish < size) or (target > size and wish > size))

    def _move(self, row: int) -> Move:
        return Move(
            key=self.keys[row],
            from_size=int(self.guest_size[row]),
            to_size=int(self.target_size[row]),
            reason=Reason(int(self.reason[row])),
            sentence=self.sentence(row),
        )


class _Words(dict[str, str]):
    """The words of one guest's sentence, each made only when the sentence has a place for it."""

    def __init__(self, plan: Plan, row: int) -> None:
        super().__init__()
        self._plan = plan
        self._row = row

    def __missing__(self, name: str) -> str:
        plan, row = self._plan, self._row
        if name == "cause":
            return _CAUSES[Cause(int(plan.cause[row]))].format_map(self)
        if name in {"condition", "blindness"}:
            condition = Condition(int(plan.condition[row]))
            return _CONDITIONS[condition].format(age=plan.age[row])
        if name in {"strain", "limit"}:
            return _of_host(plan, int(plan.host[row]), name)
        return format_size(float(self._figure(name)))

    def _figure(self, name: str) -> float:
        plan, row = self._plan, self._row
        if name == "change":
            return float(abs(plan.target_size[row] - plan.guest_size[row]))
        if name == "surplus":
            return float(plan.guest_size[row] - plan.want[row])
        if name == "need":
            return float(plan.need[plan.host[row]])
        if name == "reserved":
            return float(plan.hosts.reserved[plan.host[row]])
        column = plan.guest_size if name == "size" else getattr(plan, name)
        return float(column[row])


def _of_host(plan: Plan, host: int, name: str) -> str:
    """Return words on what a host lacks: its ``strain``, or the ``limit`` of what guests may have.

    What is not known now may have been known when the strain began.
    """
    hosts = plan.hosts
    if name == "limit":
        if plan.accounts.limit[host] >= hosts.budget[host]:
            return "the host's budget"
        return f"the host has, with {format_size(float(hosts.available[host]))} available"
    if hosts.swap_out[host] > 0:
        return f"the host swaps out {format_size(float(hosts.swap_out[host]))} a second"
    if hosts.pressure[host] > 0:
        return f"tasks of the host wait for memory {hosts.pressure[host]:.0%} of the time"
    return "the host was short of memory a moment ago"
